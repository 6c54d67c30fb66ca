//! Users and groups. Neither Landlock nor seccomp judges which unix socket a process connects to:
//! the permissions of the socket's file do, and therefore whom the process runs as.

use nix::errno::Errno;
use nix::unistd::{
    Gid, Group, Uid, User as Account, getgroups, getresgid, getresuid, setgroups, setresgid,
    setresuid,
};

use crate::report::{Measure, Report};
use crate::{Error, User};

/// Changes to the user, for good: real, effective and saved.
pub(crate) fn change(user: &User, report: &mut Report) -> Result<(), Error> {
    if let User::Change {
        user,
        group,
        groups,
    } = user
    {
        let target = Target::of(user, group.as_deref(), groups)?;
        target.change().map_err(|source| Error::ChangeUser {
            user: user.clone(),
            source: source.into(),
        })?;
    }
    say(user, report)
}

struct Target {
    user: Uid,
    group: Gid,
    /// Further ones; sorted, without duplicates and without `group`.
    groups: Vec<Gid>,
}

impl Target {
    fn of(user: &str, group: Option<&str>, groups: &[String]) -> Result<Self, Error> {
        let (id, primary) = look_up(user)?;
        let group = match (group, primary) {
            (Some(group), _) => group_id(group)?,
            (None, Some(primary)) => primary,
            (None, None) => return Err(Error::NoPrimaryGroup(user.to_owned())),
        };
        let groups = groups.iter().map(|group| group_id(group));
        let groups = groups.collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            user: id,
            group,
            groups: beside(group, groups),
        })
    }

    /// Groups first: without the user's privileges they cannot be changed any more. What is right
    /// already is left alone, so that a service which its manager started as this user can name it.
    fn change(&self) -> nix::Result<()> {
        if beside(self.group, getgroups()?) != self.groups {
            setgroups(&self.groups)?;
        }
        let groups = getresgid()?;
        if [groups.real, groups.effective, groups.saved] != [self.group; 3] {
            setresgid(self.group, self.group, self.group)?;
        }
        let users = getresuid()?;
        if [users.real, users.effective, users.saved] != [self.user; 3] {
            setresuid(self.user, self.user, self.user)?;
        }
        Ok(())
    }
}

/// The groups beside this one, sorted and without duplicates. Whoever starts a service as a user by
/// `initgroups(3)`, as systemd does, puts the primary group among the supplementary ones as well;
/// that gives the process nothing.
fn beside(group: Gid, mut groups: Vec<Gid>) -> Vec<Gid> {
    groups.retain(|other| *other != group);
    groups.sort_unstable_by_key(|group| group.as_raw());
    groups.dedup();
    groups
}

/// The user and, if the data base knows it, its primary group.
fn look_up(user: &str) -> Result<(Uid, Option<Gid>), Error> {
    let doing = "look a user up";
    if let Ok(number) = user.parse() {
        let id = Uid::from_raw(number);
        let account = known(Account::from_uid(id)).map_err(Error::call(doing))?;
        return Ok((id, account.map(|account| account.gid)));
    }
    let account = known(Account::from_name(user)).map_err(Error::call(doing))?;
    let account = account.ok_or_else(|| Error::NoUser(user.to_owned()))?;
    Ok((account.uid, Some(account.gid)))
}

/// The number of a user, given by name or number.
///
/// # Errors
/// If there is no such user, or the user data base cannot be read.
pub fn user_number(user: &str) -> Result<u32, Error> {
    look_up(user).map(|(id, _)| id.as_raw())
}

/// The name of a user, given by number. Nothing where the user data base does not know it or cannot
/// be read.
#[must_use]
pub fn user_name(user: u32) -> Option<String> {
    let known = Account::from_uid(Uid::from_raw(user));
    known.ok().flatten().map(|account| account.name)
}

/// The number of a group, given by name or number.
///
/// # Errors
/// If there is no such group, or the user data base cannot be read.
pub fn group_number(group: &str) -> Result<u32, Error> {
    group_id(group).map(Gid::as_raw)
}

fn group_id(group: &str) -> Result<Gid, Error> {
    if let Ok(number) = group.parse() {
        return Ok(Gid::from_raw(number));
    }
    let found = known(Group::from_name(group)).map_err(Error::call("look a group up"))?;
    let found = found.ok_or_else(|| Error::NoGroup(group.to_owned()))?;
    Ok(found.gid)
}

/// An image without `/etc/passwd` or `/etc/group` knows nobody, which is no failure.
fn known<T>(found: nix::Result<Option<T>>) -> nix::Result<Option<T>> {
    match found {
        Err(Errno::ENOENT) => Ok(None),
        other => other,
    }
}

fn say(user: &User, report: &mut Report) -> Result<(), Error> {
    let ids = getresuid().map_err(Error::call("read the user ids"))?;
    let groups = getgroups().map_err(Error::call("read the groups"))?;
    let group = nix::unistd::getgid();
    let groups = std::iter::once(group)
        .chain(beside(group, groups))
        .map(group_name)
        .collect::<Vec<_>>()
        .join(", ");
    let who = format!("{} in {groups}", name_and_number(ids.effective));
    let root = [ids.real, ids.effective, ids.saved]
        .iter()
        .any(|id| id.is_root());
    match (root, user) {
        (true, _) => report.not_held(
            Measure::User,
            format!("{who}: what root owns stays open to it"),
        ),
        (false, User::Shared) => report.not_held(
            Measure::User,
            format!(
                "{who}, the same as the other process: each may open the other's sockets and files"
            ),
        ),
        (false, User::Change { .. } | User::Keep) => report.held(Measure::User, who),
    }
    Ok(())
}

fn name_and_number(id: Uid) -> String {
    match user_name(id.as_raw()) {
        Some(name) => format!("{name} ({id})"),
        None => id.to_string(),
    }
}

fn group_name(id: Gid) -> String {
    match Group::from_gid(id) {
        Ok(Some(group)) => group.name,
        Ok(None) | Err(_) => id.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_groups_are_found_by_name_and_by_number() {
        let target = Target::of("root", None, &["7".to_owned(), "root".to_owned()]).unwrap();
        assert_eq!(
            (target.user, target.group),
            (Uid::from_raw(0), Gid::from_raw(0))
        );
        // The primary group is not among the further ones.
        assert_eq!(target.groups, [Gid::from_raw(7)]);
        let target = Target::of("64001", Some("64002"), &[]).unwrap();
        assert_eq!(
            (target.user.as_raw(), target.group.as_raw()),
            (64001, 64002)
        );
    }

    #[test]
    fn a_user_that_nobody_knows_has_no_name() {
        assert_eq!(user_name(0).as_deref(), Some("root"));
        assert_eq!(user_name(64_001), None);
        assert_eq!(name_and_number(Uid::from_raw(0)), "root (0)");
        assert_eq!(name_and_number(Uid::from_raw(64_001)), "64001");
    }

    #[test]
    fn a_machine_without_a_user_data_base_knows_nobody() {
        assert_eq!(known::<()>(Err(Errno::ENOENT)), Ok(None));
        assert_eq!(known::<()>(Err(Errno::EIO)), Err(Errno::EIO));
    }

    #[test]
    fn who_is_not_there_is_named() {
        let unknown = "no-such-account";
        let groups = [unknown.to_owned()];
        assert!(matches!(Target::of(unknown, None, &[]), Err(Error::NoUser(it)) if it == unknown));
        assert!(matches!(
            Target::of("root", Some(unknown), &[]),
            Err(Error::NoGroup(_))
        ));
        assert!(matches!(
            Target::of("root", None, &groups),
            Err(Error::NoGroup(_))
        ));
        assert!(matches!(
            Target::of("64001", None, &[]),
            Err(Error::NoPrimaryGroup(_))
        ));
    }
}
