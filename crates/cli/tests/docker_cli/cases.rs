//! The commands. They build on one another: what one makes, later ones use.
//!
//! In a line `|` is a space inside a word, `@` the prefix of the run's names, `%began` and `%now`
//! are times.

/// One command.
pub struct Case {
    /// What follows `docker`.
    pub line: &'static str,
    pub input: Input,
    /// How it ends, straight.
    pub code: i32,
    pub gate: Gate,
}

/// What a command reads.
#[derive(Clone, Copy)]
pub enum Input {
    None,
    /// From a pipe.
    Pipe(&'static str),
    /// From a terminal.
    Terminal(&'static str),
}

impl Input {
    pub fn text(self) -> &'static str {
        match self {
            Input::None => "",
            Input::Pipe(text) | Input::Terminal(text) => text,
        }
    }
}

/// How it is through the gate.
#[derive(Clone, Copy)]
pub enum Gate {
    /// It prints the same and ends the same.
    Same,
    /// What it prints then, and why.
    Differs(&'static str, &'static str),
    /// It ends the same. What it prints is the same with some versions of the command line, and has
    /// this in it with others, and why.
    Rewords(&'static str, &'static str),
    /// It is refused, and this is shown.
    Refused(&'static str),
}

use Gate::{Differs, Refused, Rewords, Same};
use Input::{Pipe, Terminal};

const fn same(line: &'static str) -> Case {
    ends(0, line)
}

const fn ends(code: i32, line: &'static str) -> Case {
    Case {
        line,
        input: Input::None,
        code,
        gate: Same,
    }
}

const fn reads(line: &'static str, input: Input, code: i32) -> Case {
    Case {
        line,
        input,
        code,
        gate: Same,
    }
}

const fn differs(line: &'static str, is: &'static str, why: &'static str) -> Case {
    Case {
        line,
        input: Input::None,
        code: 0,
        gate: Differs(is, why),
    }
}

const fn rewords(code: i32, line: &'static str, is: &'static str, why: &'static str) -> Case {
    Case {
        line,
        input: Input::None,
        code,
        gate: Rewords(is, why),
    }
}

const fn refused(line: &'static str, sentence: &'static str) -> Case {
    Case {
        line,
        input: Input::None,
        code: 0,
        gate: Refused(sentence),
    }
}

const NOT_ALLOWED: &str = "is not among the allowed images";
const ASKED_FIRST: &str =
    "an image that is not allowed is refused before the engine is asked for it";
const FULL_ID: &str = "the engine is asked by the full id, and names that in its sentences";
const OWN: &str = "the label stands for what is the caller's own; no object has it";

pub const CASES: &[Case] = &[
    // The engine.
    same("version --format {{.Server.Version}}|{{.Server.APIVersion}}|{{.Client.APIVersion}}"),
    same("info --format {{.OSType}}|{{.Architecture}}|{{.ServerVersion}}"),
    // Running something, with and without input and terminal.
    same("run --rm allowed/app:1 echo hello"),
    ends(7, "run --rm allowed/app:1 sh -c exit|7"),
    ends(127, "run --rm allowed/app:1 no-such-program"),
    differs("run --rm no.such/image:1 true", NOT_ALLOWED, ASKED_FIRST),
    reads("run --rm -i allowed/app:1 cat", Pipe("one\ntwo\n"), 0),
    reads(
        "run --rm -i allowed/app:1 sh -c cat;exit|9",
        Pipe("in\n"),
        9,
    ),
    reads(
        "run --rm -it allowed/app:1 sh -c tty;exit|4",
        Terminal(""),
        4,
    ),
    same("run --rm allowed/app:1 sh -c echo|out;echo|err|>&2"),
    same("run --rm -e A=b -w /tmp -u 1000 allowed/app:1 sh -c echo|$A;pwd;id|-u"),
    same("run --rm --read-only --tmpfs /run allowed/app:1 touch /run/x"),
    same("run --rm --entrypoint /bin/echo allowed/app:1 entry"),
    same("run --rm --memory 64m --cpus 0.5 --pids-limit 20 allowed/app:1 true"),
    // A container that stays.
    same(
        "run -d --name @web --label suite=@ -h web allowed/app:1 sh -c echo|one;echo|two;exec|sleep|999",
    ),
    ends(125, "run --name @web allowed/app:1 true"),
    same("ps --filter name=@ --format {{.Names}}|{{.Image}}|{{.State}}|{{.Command}}"),
    same("ps -aq --filter label=suite=@"),
    same("ps --no-trunc -q --filter id=none"),
    same("logs @web"),
    same("logs --tail 1 @web"),
    same("logs --since %began --until %now @web"),
    same(
        "inspect -f {{.Name}}|{{.Config.Hostname}}|{{.Config.Image}}|{{.State.Status}}|{{.Path}} @web",
    ),
    same("inspect -f {{index|.Config.Labels|\"suite\"}}|{{.HostConfig.NetworkMode}} @web"),
    differs(
        "inspect -f {{.HostConfig.SecurityOpt}}|{{.HostConfig.CapDrop}} @web",
        "no-new-privileges",
        "the gate adds hardened defaults",
    ),
    ends(1, "container inspect @none"),
    ends(1, "inspect @none"),
    same("top @web -o pid,args"),
    same("stats --no-stream --format {{.Name}} @web"),
    same("port @web"),
    // Commands in it, as the same tenant with the right to.
    same("exec @web echo in"),
    ends(3, "exec @web sh -c exit|3"),
    reads("exec -i @web cat", Pipe("x\ny\n"), 0),
    reads("exec -it @web sh -c tty;exit|6", Terminal(""), 6),
    reads("exec -it @web sh", Terminal("echo typed\nexit 2\n"), 2),
    same("exec -d @web touch /tmp/detached"),
    same("exec -w /tmp -e C=d @web sh -c pwd;echo|$C"),
    same("exec -u 1000 @web id -u"),
    ends(126, "exec @web no-such-program"),
    // Files.
    same("cp file.txt @web:/tmp/copied.txt"),
    same("exec @web cat /tmp/copied.txt"),
    same("cp tree @web:/tmp/"),
    same("exec @web cat /tmp/tree/inner/file"),
    same("cp @web:/tmp/tree back"),
    same("cp back/inner/file @web:/tmp/again"),
    same("exec @web cat /tmp/again"),
    rewords(1, "cp @web:/no/such/file x", "in container <id>", FULL_ID),
    same("diff @web"),
    // Its life.
    same("pause @web"),
    same("ps --filter name=@ --filter status=paused --format {{.Names}}"),
    rewords(1, "exec @web true", "Container <id> is paused", FULL_ID),
    same("unpause @web"),
    same("rename @web @www"),
    same("restart -t 0 @www"),
    same("stop -t 0 @www"),
    ends(1, "exec @www true"),
    same("start @www"),
    same("kill @www"),
    same("wait @www"),
    rewords(1, "kill @www", "Cannot kill container: <id>", FULL_ID),
    same("ps -a --filter name=@ --filter status=exited --format {{.Names}}"),
    same(
        "events --since %began --until %now --filter container=@www --filter event=rename --filter event=kill --format {{.Action}}",
    ),
    same(
        "events --since %began --until %now --filter label=suite=@ --filter event=start --format {{.Actor.Attributes.name}}",
    ),
    same("rm @www"),
    ends(1, "rm @www"),
    // Output as it comes.
    same(
        "run -d --name @tick allowed/app:1 sh -c for|i|in|1|2|3;do|echo|$i;usleep|200000;done;exit|5",
    ),
    same("logs -f @tick"),
    same("wait @tick"),
    reads("run -i --name @talk allowed/app:1 cat", Pipe("said\n"), 0),
    reads("start -ai @talk", Pipe("again\n"), 0),
    same("create --name @made allowed/app:1 echo started"),
    same("start -a @made"),
    same("rm -f @tick @talk @made"),
    // Networks and volumes.
    same("network create --label suite=@ @net"),
    ends(1, "network create @net"),
    same("network ls --filter name=@ --format {{.Name}}|{{.Driver}}"),
    same(
        "run -d --name @srv --network @net allowed/app:1 sh -c echo|served>/tmp/page;exec|httpd|-f|-p|8080|-h|/tmp",
    ),
    same("run --rm --network @net allowed/app:1 wget -qO- http://@srv:8080/page"),
    same("network inspect -f {{range|.Containers}}{{.Name}}{{end}} @net"),
    same("network inspect -f {{.Name}}|{{.Driver}} bridge host none"),
    same("network disconnect @net @srv"),
    same("network connect --alias other @net @srv"),
    same("run --rm --network @net allowed/app:1 wget -qO- http://other:8080/page"),
    ends(1, "network rm @net"),
    same("rm -f @srv"),
    same("network rm @net"),
    same("volume create --label suite=@ @vol"),
    same("volume ls --filter name=@ --format {{.Name}}|{{.Driver}}"),
    same("volume inspect -f {{.Name}}|{{.Driver}}|{{.Labels.suite}} @vol"),
    same("run --rm -v @vol:/data allowed/app:1 touch /data/kept"),
    same("run --rm --mount type=volume,src=@vol,dst=/data,readonly allowed/app:1 ls /data"),
    same("run -d --name @user -v @vol:/data -v /anonymous allowed/app:1 sleep 999"),
    ends(1, "volume rm @vol"),
    same("rm -fv @user"),
    same("volume rm @vol"),
    // Images.
    same("image ls --format {{.Repository}}:{{.Tag}} allowed/app"),
    same("image inspect -f {{.Os}}|{{.Architecture}}|{{.Config.Cmd}} allowed/app:1"),
    same("history --format {{.Comment}} allowed/app:1"),
    rewords(
        1,
        "image inspect no.such/image:1",
        "daemon: No such image",
        "it is said once that the image is not there",
    ),
    same("tag allowed/app:1 @img:2"),
    same("run --rm @img:2 echo tagged"),
    same("rmi @img:2"),
    // What is one's own, counted and removed.
    same("system df --format {{.Type}}"),
    same("create --name @old --label suite=@ allowed/app:1 true"),
    refused("container prune -f", "com.cofferdam.owner=me"),
    differs(
        "container prune -f --filter label=com.cofferdam.owner=me --filter label=suite=@",
        "Deleted Containers",
        OWN,
    ),
    same("volume create --label suite=@ @left"),
    refused("volume prune -f", "com.cofferdam.owner=me"),
    differs(
        "volume prune -f --filter label=com.cofferdam.owner=me --filter label=suite=@",
        "Deleted Volumes",
        OWN,
    ),
    same("network create --label suite=@ @unused"),
    refused("network prune -f", "com.cofferdam.owner=me"),
    differs(
        "network prune -f --filter label=com.cofferdam.owner=me --filter label=suite=@",
        "Deleted Networks",
        OWN,
    ),
    // What the floor refuses.
    refused("run --rm -v /:/host allowed/app:1 true", "HostConfig.Binds"),
    refused(
        "run --rm --privileged allowed/app:1 true",
        "HostConfig.Privileged",
    ),
    refused(
        "run --rm --pid host allowed/app:1 true",
        "HostConfig.PidMode",
    ),
    refused(
        "run --rm --network host allowed/app:1 true",
        "HostConfig.NetworkMode",
    ),
    refused(
        "run --rm --cap-add SYS_ADMIN allowed/app:1 true",
        "HostConfig.CapAdd",
    ),
    // What is not offered.
    refused("build .", "not offered"),
    refused("commit @none", "not offered"),
    refused("save allowed/app:1", "not offered"),
    refused("import Dockerfile @imported:1", "not offered"),
    refused("export @none", "not offered"),
    refused("update --memory 1g @none", "not offered"),
    refused("swarm init", "not offered"),
    refused("plugin ls", "not offered"),
    refused("search app", "not offered"),
];
