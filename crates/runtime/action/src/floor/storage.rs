//! What a container stores where.

use super::resources::at_most;
use super::{Excepted, HostPathUse, Judge};
use crate::container::{Bind, BindSource, Mount, Storage, TmpfsOptions};
use crate::path::{ContainerPath, HostPath};
use crate::refusal::{Refusal, Rule, quote};

impl Judge<'_> {
    pub(super) fn storage(&mut self, storage: &Storage) -> Result<(), Refusal> {
        let Storage {
            binds,
            mounts,
            tmpfs,
            anonymous_volumes,
            shm_size,
            read_only_root: _,
        } = storage;
        for (at, bind) in binds.iter().enumerate() {
            self.bind(bind)
                .map_err(|refusal| refusal.at(format!("HostConfig.Binds[{at}]")))?;
        }
        for (at, mount) in mounts.iter().enumerate() {
            self.mount(mount)
                .map_err(|refusal| refusal.at(format!("HostConfig.Mounts[{at}]")))?;
        }
        for (path, options) in tmpfs {
            let TmpfsOptions {
                size,
                mode: _,
                uid: _,
                gid: _,
                read_only: _,
                exec: _,
            } = options;
            target(path).map_err(|refusal| refusal.at("HostConfig.Tmpfs"))?;
            self.tmpfs_size(*size)
                .map_err(|refusal| refusal.at("HostConfig.Tmpfs"))?;
        }
        for path in anonymous_volumes {
            target(path).map_err(|refusal| refusal.at("Volumes"))?;
        }
        at_most(
            *shm_size,
            self.config.limits.shm_max,
            Rule::ShmLimit,
            "HostConfig.ShmSize",
        )
    }

    fn bind(&mut self, bind: &Bind) -> Result<(), Refusal> {
        let Bind {
            source,
            target: path,
            read_only,
            no_copy: _,
        } = bind;
        match source {
            // Whose it is the broker knows.
            BindSource::Volume(_) => {}
            BindSource::Host(source) => self.host_path(source, *read_only)?,
        }
        target(path)
    }

    fn mount(&mut self, mount: &Mount) -> Result<(), Refusal> {
        match mount {
            Mount::Volume {
                source: _,
                target: path,
                read_only: _,
                no_copy: _,
                labels,
            } => {
                target(path)?;
                self.labels(labels, "VolumeOptions.Labels")
            }
            Mount::Tmpfs {
                target: path,
                size,
                mode: _,
                read_only: _,
            } => {
                target(path)?;
                self.tmpfs_size(*size)
            }
            Mount::Host {
                source,
                target: path,
                read_only,
            } => {
                self.host_path(source, *read_only)?;
                target(path)
            }
        }
    }

    fn tmpfs_size(&self, size: Option<u64>) -> Result<(), Refusal> {
        at_most(size, self.config.limits.tmpfs_max, Rule::TmpfsLimit, "size")
    }

    fn host_path(&mut self, source: &HostPath, read_only: bool) -> Result<(), Refusal> {
        let refusal = Refusal::new(
            Rule::HostPath,
            format!(
                "{} of the host would be in the container; name a volume instead",
                quote(source.as_str())
            ),
        );
        let allows = |what: &Excepted| match what {
            Excepted::HostPath { path, below, write } => {
                (path == source || (*below && path.contains(source))) && (*write || read_only)
            }
            _ => false,
        };
        self.except(allows, refusal)?;
        // `except` has just pushed the exception that it found.
        if let Some(Excepted::HostPath { path, .. }) = self.exceptions.last().map(|it| &it.what) {
            let within = path.clone();
            self.host_paths.push(HostPathUse {
                path: source.clone(),
                within,
                read_only,
            });
        }
        Ok(())
    }
}

/// Where something is mounted in the container.
fn target(path: &ContainerPath) -> Result<(), Refusal> {
    if path.is_root() || path.is_system() {
        return Err(Refusal::new(
            Rule::MountTarget,
            format!(
                "{} of the container stays the runtime's",
                quote(path.as_str())
            ),
        ));
    }
    Ok(())
}
