//! What a container may use up, and what is kept of its output.

use super::Judge;
use crate::container::{Lifecycle, LogDriver, LogFiles, Resources, Ulimit, UlimitName};
use crate::refusal::{Refusal, Rule};

/// Bytes of output of one container that the engine may hold in its own memory. Its default is 1 MiB.
const LOG_BUFFER_MAX: u64 = 16 << 20;

impl Judge<'_> {
    pub(super) fn resources(&self, resources: &Resources) -> Result<(), Refusal> {
        let Resources {
            memory,
            memory_reservation,
            memory_swap,
            nano_cpus,
            cpu_shares,
            cpu_period,
            cpu_quota,
            cpuset_cpus: _,
            cpuset_mems: _,
            pids,
            oom_score_adj,
            ulimits,
        } = resources;
        let limits = &self.config.limits;
        at_most(
            *memory,
            limits.memory_max,
            Rule::MemoryLimit,
            "HostConfig.Memory",
        )?;
        at_most(
            *memory_reservation,
            limits.memory_max,
            Rule::MemoryLimit,
            "HostConfig.MemoryReservation",
        )?;
        let with_swap = limits.memory_max.saturating_mul(2);
        at_most(
            *memory_swap,
            with_swap,
            Rule::MemoryLimit,
            "HostConfig.MemorySwap",
        )?;
        at_most(
            *pids,
            limits.pids_max,
            Rule::PidsLimit,
            "HostConfig.PidsLimit",
        )?;

        // Ranges of the kernel; beyond them the engine clamps, and what was asked is not what is.
        within(*nano_cpus, 1, 1_000_000_000_000, "HostConfig.NanoCpus")?;
        within(*cpu_shares, 2, 262_144, "HostConfig.CpuShares")?;
        within(*cpu_period, 1_000, 1_000_000, "HostConfig.CpuPeriod")?;
        within(*cpu_quota, 1_000, 1_000_000_000, "HostConfig.CpuQuota")?;

        if *oom_score_adj > 1000 {
            return Err(
                Refusal::new(Rule::OomLimit, "it goes from 0 to 1000").at("HostConfig.OomScoreAdj")
            );
        }
        ulimits.iter().try_for_each(|ulimit| self.ulimit(ulimit))
    }

    fn ulimit(&self, ulimit: &Ulimit) -> Result<(), Refusal> {
        let Ulimit { name, soft, hard } = ulimit;
        let at = format!("HostConfig.Ulimits[`{}`]", name.as_str());
        let most = match name {
            // A core dump is handed to a program on the host (kernel.core_pattern).
            UlimitName::Core => 0,
            UlimitName::Nofile => self.config.limits.nofile_max,
            UlimitName::Nproc => 1 << 16,
            UlimitName::Memlock => 64 << 20,
            UlimitName::Stack => 1 << 30,
            UlimitName::Sigpending => 1 << 16,
            // What every process has on a stock kernel.
            UlimitName::Msgqueue => 819_200,
            // 20 is nice 0; more would let a process go before the host's.
            UlimitName::Nice => 20,
            UlimitName::Rtprio => 0,
            // These have no limit by default, so any number narrows.
            UlimitName::Cpu
            | UlimitName::Data
            | UlimitName::Fsize
            | UlimitName::Locks
            | UlimitName::Rss
            | UlimitName::Rttime => i64::MAX as u64,
        };
        if soft > hard {
            return Err(
                Refusal::new(Rule::UlimitLimit, "the soft limit is above the hard one").at(at),
            );
        }
        if *hard > most {
            return Err(Refusal::new(
                Rule::UlimitLimit,
                format!("{hard} is above the bound of {most}"),
            )
            .at(at));
        }
        Ok(())
    }

    pub(super) fn lifecycle(&self, lifecycle: &Lifecycle) -> Result<(), Refusal> {
        let Lifecycle {
            auto_remove: _,
            restart: _,
            init: _,
            log,
        } = lifecycle;
        log.as_ref().map_or(Ok(()), |log| self.log_files(log))
    }

    fn log_files(&self, log: &LogFiles) -> Result<(), Refusal> {
        let LogFiles {
            driver,
            max_size,
            max_files,
            compress: _,
            mode: _,
            max_buffer_size,
        } = log;
        let field = "HostConfig.LogConfig";
        at_most(*max_buffer_size, LOG_BUFFER_MAX, Rule::Log, field)?;
        let most = self.config.limits.log_max;
        // What the drivers do where an option is missing. `json-file` has one file without bound then,
        // as the engine's default has it.
        let (size, files) = match driver {
            LogDriver::JsonFile => (*max_size, max_files.unwrap_or(1)),
            LogDriver::Local => (Some(max_size.unwrap_or(20 << 20)), max_files.unwrap_or(5)),
        };
        match size.map(|size| size.saturating_mul(u64::from(files))) {
            Some(all) if all > most || all == 0 => Err(Refusal::new(
                Rule::Log,
                format!("log files of {all} bytes; write 1 to {most} in all"),
            )
            .at(field)),
            _ => Ok(()),
        }
    }
}

/// A number with an upper bound.
pub(super) fn at_most(
    value: Option<u64>,
    most: u64,
    rule: Rule,
    field: &str,
) -> Result<(), Refusal> {
    match value {
        Some(value) if value > most => {
            Err(Refusal::new(rule, format!("{value} is above the bound of {most}")).at(field))
        }
        _ => Ok(()),
    }
}

fn within(value: Option<u64>, least: u64, most: u64, field: &str) -> Result<(), Refusal> {
    match value {
        Some(value) if !(least..=most).contains(&value) => Err(Refusal::new(
            Rule::CpuLimit,
            format!("{value} is not between {least} and {most}"),
        )
        .at(field)),
        _ => Ok(()),
    }
}
