//! A container's files as tar archives, in and out.

use crate::files::{View, normal, set_changed};
use crate::request::ARCHIVE;
use rustix::fs::FileType;
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read, Seek};
use tar::{Builder, EntryType, Header};

/// How many entries an archive may have.
const ENTRIES: usize = 20_000;

/// Packs what is at `path` under the name `base` into a file without a name.
pub(crate) fn pack(view: &View, path: &str, base: &str) -> io::Result<File> {
    let mut builder = Builder::new(tempfile::tempfile()?);
    let mut left = vec![(path.to_owned(), base.to_owned())];
    let (mut entries, mut bytes) = (0, 0);
    while let Some((path, name)) = left.pop() {
        let entry = view.stat(&path)?;
        entries += 1;
        bytes += entry.size;
        if entries > ENTRIES || bytes > ARCHIVE {
            return Err(io::Error::other("the archive is too large"));
        }
        let mut header = Header::new_gnu();
        header.set_mode(entry.mode);
        header.set_mtime(u64::try_from(entry.changed.0).unwrap_or_default());
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(0);
        match entry.kind {
            FileType::Directory => {
                header.set_entry_type(EntryType::Directory);
                builder.append_data(&mut header, format!("{name}/"), io::empty())?;
                let inner = view.names(&path)?.into_iter().rev();
                left.extend(
                    inner.map(|inner| (format!("{path}/{inner}"), format!("{name}/{inner}"))),
                );
            }
            FileType::Symlink => {
                header.set_entry_type(EntryType::Symlink);
                let target = entry.target.unwrap_or_default();
                builder.append_link(&mut header, &name, target)?;
            }
            FileType::RegularFile => {
                header.set_size(entry.size);
                // A file that shrinks meanwhile is filled up: the header is written already.
                let content = view.file(&path)?.chain(io::repeat(0)).take(entry.size);
                builder.append_data(&mut header, &name, content)?;
            }
            // Pipes, sockets and devices have no content to send.
            _ => {}
        }
    }
    let mut file = builder.into_inner()?;
    file.rewind()?;
    Ok(file)
}

/// Unpacks an archive below `path`. What an entry's name says about places above is dropped.
pub(crate) fn unpack(view: &View, path: &str, archive: File, keep_kinds: bool) -> io::Result<()> {
    let mut archive = tar::Archive::new(archive);
    for (number, entry) in archive.entries()?.enumerate() {
        let mut entry = entry?;
        if number >= ENTRIES {
            return Err(io::Error::other("the archive has too many entries"));
        }
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let target = format!("{}{}", path.trim_end_matches('/'), normal(&name));
        let kind = entry.header().entry_type();
        if keep_kinds && let Ok(is_dir) = view.is_dir(&target) {
            let text = match (is_dir, kind.is_dir()) {
                (true, false) => "cannot overwrite directory with non-directory",
                (false, true) => "cannot overwrite non-directory with directory",
                _ => "",
            };
            if !text.is_empty() {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
        }
        if let Some((parent, _)) = target.rsplit_once('/') {
            view.make_all(parent)?;
        }
        match kind {
            EntryType::Directory => view.make_all(&target)?,
            EntryType::Regular | EntryType::Continuous => {
                let mode = entry.header().mode()?;
                let mut file = view.create(&target, mode)?;
                io::copy(&mut entry.by_ref().take(ARCHIVE), &mut file)?;
                let changed = entry.header().mtime()?;
                set_changed(&file, i64::try_from(changed).unwrap_or_default())?;
            }
            EntryType::Symlink => {
                let to = entry.link_name_bytes().unwrap_or_default();
                view.link(&target, &String::from_utf8_lossy(&to))?;
            }
            EntryType::XGlobalHeader => {}
            // A second name for a file, or a device: neither is pretended.
            _ => return Err(Errno::OPNOTSUPP.into()),
        }
    }
    Ok(())
}
