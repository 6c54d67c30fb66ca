//! What a process may try: what its job needs, and what an intruder would.

use std::fs;
use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use nix::sched::CloneFlags;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{MsgFlags, SockaddrIn};
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::{Pid, Uid};
use rustix::net::{AddressFamily, Protocol, SocketType};

/// Makes the attempt of this name, and answers with what it found, after a blank.
pub(crate) fn make(name: &str, argument: &str) -> io::Result<String> {
    match name {
        "read" => return Ok(format!(" {}", fs::read_to_string(argument)?)),
        "walk" => drop(rustix::fs::openat2(
            rustix::fs::CWD,
            argument,
            rustix::fs::OFlags::PATH,
            rustix::fs::Mode::empty(),
            rustix::fs::ResolveFlags::NO_SYMLINKS,
        )?),
        "list" => drop(fs::read_dir(argument)?),
        "write" => fs::write(argument, "written")?,
        "truncate-by-path" => nix::unistd::truncate(argument, 0)?,
        "mkdir" => fs::create_dir(argument)?,
        "symlink" => std::os::unix::fs::symlink("/etc/passwd", argument)?,
        "rename" => fs::rename(argument, format!("{argument}-renamed"))?,
        "remove" => fs::remove_file(argument)?,
        "descriptor" => descriptor(argument)?,

        "socket" => socket(argument)?,
        "socketpair" => drop(UnixStream::pair()?),
        "connect-tcp" => drop(TcpStream::connect(argument)?),
        "bind-tcp" => drop(TcpListener::bind(argument)?),
        "fast-open" => fast_open(argument)?,
        "connect-unix" => drop(UnixStream::connect(argument)?),
        "bind-unix" => drop(UnixListener::bind(argument)?),
        "serve" => serve(argument)?,
        "ask" => {
            let mut answer = String::new();
            UnixStream::connect(argument)?.read_to_string(&mut answer)?;
            return Ok(format!(" {answer}"));
        }
        "connect-abstract" => {
            let address = UnixAddress::from_abstract_name(argument)?;
            drop(UnixStream::connect_addr(&address)?);
        }

        "exec" => return Err(Command::new(argument).exec()),
        "spawn" => drop(Command::new(argument).spawn()?.wait()?),
        "signal" => nix::sys::signal::kill(pid(argument), None)?,
        "trace" => nix::sys::ptrace::attach(pid(argument))?,
        "trace-me" => nix::sys::ptrace::traceme()?,
        "read-memory" => read_memory(argument)?,
        "unshare" => nix::sched::unshare(CloneFlags::CLONE_NEWUSER)?,
        "enter-namespace" => {
            let namespace = fs::File::open(argument)?;
            nix::sched::setns(namespace, CloneFlags::CLONE_NEWNET)?;
        }
        "mount" => nix::mount::mount(
            Some("none"),
            argument,
            Some("tmpfs"),
            nix::mount::MsFlags::empty(),
            None::<&str>,
        )?,
        "chroot" => std::os::unix::fs::chroot(argument)?,
        "become-root" => nix::unistd::setuid(Uid::from_raw(0))?,
        "io-uring" => drop(io_uring::IoUring::new(1)?),
        "memory-file" => {
            drop(rustix::fs::memfd_create(
                "x",
                rustix::fs::MemfdFlags::empty(),
            )?);
        }
        "executable-memory" => drop(memmap2::MmapMut::map_anon(4096)?.make_exec()?),
        "be-dumpable" => {
            rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable)?
        }

        "environment" => return Ok(environment()),
        "threads" => threads()?,
        "tokio" => tokio(argument)?,
        "cryptography" => cryptography(),
        "audit" => audit(argument)?,
        "panic" => drop(std::panic::catch_unwind(|| panic!("a panic is no way out"))),
        "core-limit" => {
            let limit = rustix::process::getrlimit(rustix::process::Resource::Core);
            return Ok(format!(" {:?} {:?}", limit.current, limit.maximum));
        }
        other => panic!("no such attempt: {other}"),
    }
    Ok(String::new())
}

fn pid(argument: &str) -> Pid {
    Pid::from_raw(argument.parse().unwrap())
}

/// Whether the descriptor of this number is open, by way of `/proc`, which the probe may read.
fn descriptor(argument: &str) -> io::Result<()> {
    fs::File::open(format!("/proc/self/fd/{argument}"))?;
    Ok(())
}

/// `FAMILY,TYPE,PROTOCOL` as numbers.
fn socket(argument: &str) -> io::Result<()> {
    let numbers: Vec<u32> = argument.split(',').map(|it| it.parse().unwrap()).collect();
    let protocol = std::num::NonZeroU32::new(numbers[2]).map(Protocol::from_raw);
    rustix::net::socket(
        AddressFamily::from_raw(u16::try_from(numbers[0]).unwrap()),
        SocketType::from_raw(numbers[1]),
        protocol,
    )?;
    Ok(())
}

/// `PATH,GROUP`: tells each of the group who connects which user it is.
fn serve(argument: &str) -> io::Result<()> {
    let (path, group) = argument.split_once(',').unwrap();
    let listener = UnixListener::bind(path)?;
    std::os::unix::fs::chown(path, None, Some(group.parse().unwrap()))?;
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o660))?;
    println!("waiting");
    loop {
        let (mut stream, _) = listener.accept()?;
        let peer = nix::sys::socket::getsockopt(&stream, PeerCredentials)?;
        write!(stream, "{}", peer.uid())?;
    }
}

/// TCP Fast Open connects as it sends.
fn fast_open(argument: &str) -> io::Result<()> {
    let SocketAddr::V4(address) = argument.parse().unwrap() else {
        unreachable!("a test names an address of version 4");
    };
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)?;
    nix::sys::socket::sendmsg(
        std::os::fd::AsRawFd::as_raw_fd(&socket),
        &[IoSlice::new(b"hello")],
        &[],
        MsgFlags::from_bits_retain(libc::MSG_FASTOPEN),
        Some(&SockaddrIn::from(address)),
    )?;
    Ok(())
}

fn read_memory(argument: &str) -> io::Result<()> {
    let mut byte = [0];
    let remote = RemoteIoVec { base: 0, len: 1 };
    process_vm_readv(pid(argument), &mut [IoSliceMut::new(&mut byte)], &[remote])?;
    Ok(())
}

fn environment() -> String {
    let mut names: Vec<_> = std::env::vars()
        .map(|(name, _)| format!(" {name}"))
        .collect();
    names.sort();
    names.concat()
}

fn threads() -> io::Result<()> {
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let named = std::thread::Builder::new().name(format!("probe-{number}"));
            named.spawn(move || vec![number; 1 << 20].iter().sum::<usize>())
        })
        .collect::<Result<_, _>>()?;
    let sums: Vec<_> = threads.into_iter().map(|it| it.join().unwrap()).collect();
    assert_eq!(sums[7], 7 << 20);
    Ok(())
}

/// Everything of tokio that the two processes use: workers, blocking tasks, timers, signals, files,
/// and a unix socket in the folder `argument`.
fn tokio(argument: &str) -> io::Result<()> {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::signal::unix::{SignalKind, signal};

    let folder = std::path::PathBuf::from(argument);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()?;
    runtime.block_on(async move {
        let mut hangup = signal(SignalKind::hangup())?;
        nix::sys::signal::kill(Pid::this(), nix::sys::signal::Signal::SIGHUP)?;
        hangup.recv().await.unwrap();

        // Waits for nothing: that a timer goes off is what is tried.
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        let blocking = tokio::task::spawn_blocking(|| 42).await?;
        assert_eq!(blocking, 42);

        tokio::fs::write(folder.join("file"), "text").await?;
        assert_eq!(tokio::fs::read(folder.join("file")).await?, b"text");

        let listener = tokio::net::UnixListener::bind(folder.join("socket"))?;
        let echo = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await?;
            let user = stream.peer_cred()?.uid();
            let mut text = [0; 4];
            stream.read_exact(&mut text).await?;
            stream.write_all(&text).await?;
            io::Result::Ok(user)
        });
        let mut stream = tokio::net::UnixStream::connect(folder.join("socket")).await?;
        stream.write_all(b"ping").await?;
        stream.shutdown().await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        assert_eq!(answer, b"ping");
        assert_eq!(echo.await??, rustix::process::geteuid().as_raw());
        io::Result::Ok(())
    })
}

/// Random numbers, a signature and its verification.
fn cryptography() {
    use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
    let key = Ed25519KeyPair::generate().unwrap();
    let signature = key.sign(b"text");
    let public = UnparsedPublicKey::new(&ED25519, key.public_key().as_ref());
    public.verify(b"text", signature.as_ref()).unwrap();
}

/// What a durable log does in the folder `argument`: lock, append, flush, replace, list.
fn audit(argument: &str) -> io::Result<()> {
    let folder = std::path::PathBuf::from(argument);
    let mut journal = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .open(folder.join("journal"))?;
    journal.try_lock().map_err(io::Error::from)?;
    journal.write_all(b"record")?;
    journal.sync_data()?;
    rustix::fs::fallocate(&journal, rustix::fs::FallocateFlags::KEEP_SIZE, 0, 4096)?;
    rustix::fs::statvfs(&folder)?;
    journal.set_len(3)?;
    fs::write(folder.join("checkpoint.new"), "signed")?;
    fs::rename(folder.join("checkpoint.new"), folder.join("checkpoint"))?;
    fs::create_dir_all(folder.join("tile/0"))?;
    fs::hard_link(folder.join("checkpoint"), folder.join("tile/0/000"))?;
    fs::File::open(&folder)?.as_fd().try_clone_to_owned()?;
    fs::File::open(&folder)?.sync_all()?;
    fs::set_permissions(
        folder.join("checkpoint"),
        std::os::unix::fs::PermissionsExt::from_mode(0o640),
    )?;
    assert_eq!(fs::read_dir(&folder)?.count(), 3);
    let mut text = String::new();
    fs::File::open(folder.join("journal"))?.read_to_string(&mut text)?;
    assert_eq!(text, "rec");
    fs::remove_dir_all(folder.join("tile"))?;
    fs::remove_file(folder.join("checkpoint"))
}
