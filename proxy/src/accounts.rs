//! This host's users and groups, by their names in /etc/passwd and /etc/group.

use std::fs;
use std::io;

use rustix::process::{Gid, Uid};

/// A user with the groups that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub id: Uid,
    pub group: Gid,
    /// Beside its own.
    pub groups: Vec<Gid>,
}

/// # Errors
/// There is none of that name.
pub fn user(name: &str) -> io::Result<User> {
    let (users, groups) = (fs::read_to_string("/etc/passwd")?, fs::read_to_string("/etc/group")?);
    user_in(&users, &groups, name).ok_or_else(|| unknown("user", name))
}

/// # Errors
/// There is none of that name.
pub fn group(name: &str) -> io::Result<Gid> {
    let groups = fs::read_to_string("/etc/group")?;
    group_in(&groups, name).ok_or_else(|| unknown("group", name))
}

fn unknown(what: &str, name: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("there is no {what} {name:?} on this host"),
    )
}

fn user_in(users: &str, groups: &str, name: &str) -> Option<User> {
    let fields = entry(users, name)?;
    let members = groups.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let is_in = fields.get(3)?.split(',').any(|member| member == name);
        is_in.then(|| fields.get(2)?.parse().ok()).flatten()
    });
    Some(User {
        id: Uid::from_raw(fields.get(2)?.parse().ok()?),
        group: Gid::from_raw(fields.get(3)?.parse().ok()?),
        groups: members.map(Gid::from_raw).collect(),
    })
}

fn group_in(groups: &str, name: &str) -> Option<Gid> {
    let id = entry(groups, name)?.get(2)?.parse().ok()?;
    Some(Gid::from_raw(id))
}

fn entry<'a>(all: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let mut entries = all.lines().map(|line| line.split(':').collect::<Vec<_>>());
    entries.find(|fields| fields.first() == Some(&name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const USERS: &str = "root:x:0:0:root:/root:/bin/bash\nveil:x:990:980::/nonexistent:/usr/sbin/nologin\n";
    const GROUPS: &str = "root:x:0:\nadm:x:4:syslog,veil\nveil:x:980:\ncertificates:x:970:veil\n";

    #[test]
    fn a_user_comes_with_its_groups() {
        let veil = user_in(USERS, GROUPS, "veil").unwrap();
        let groups: Vec<u32> = veil.groups.iter().map(|group| group.as_raw()).collect();
        assert_eq!(
            (veil.id.as_raw(), veil.group.as_raw(), groups),
            (990, 980, vec![4, 970])
        );
        assert_eq!(user_in(USERS, GROUPS, "vei"), None);
        assert_eq!(group_in(GROUPS, "adm").unwrap().as_raw(), 4);
        assert_eq!(group_in(GROUPS, "syslog"), None);
    }
}
