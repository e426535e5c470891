//! The keys file: one or two lines, newest first, each a key id and 64 hex digits.
//!
//! It is a secret: made for its owner's eyes only, refused when others can read it, and no error repeats what
//! stands in it. It is made under another name and linked into place, so that of two processes that start
//! at once one makes it and both read the same.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use promosvc_engine::error::{Error, ErrorKind, Result};

/// Two lines are some 140 bytes; whatever is longer is another file.
const FILE_BYTES_MAX: u64 = 4096;
/// The one that signs and the one before it.
const KEYS_MAX: usize = 2;
/// As long as the hash: longer adds nothing.
const SECRET_BYTES: usize = 32;
/// Permissions that nobody but the owner may have.
const OTHERS: u32 = 0o077;

/// One line.
pub(super) struct StoredKey {
    pub(super) id: u8,
    pub(super) secret: [u8; SECRET_BYTES],
}

/// The keys of a file, at least one; a file that is absent is made.
pub(super) fn read_or_make(path: &Path) -> Result<Vec<StoredKey>> {
    match fs::metadata(path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => make(path)?,
        Err(error) => return Err(Error::io(path.display(), &error)),
    }
    read(path)
}

fn read(path: &Path) -> Result<Vec<StoredKey>> {
    let named = |error: &io::Error| Error::io(path.display(), error);
    // Asked before it is opened: opening a pipe would wait for somebody to write.
    let is_file = fs::metadata(path).map_err(|error| named(&error))?.is_file();
    if !is_file {
        return Err(invalid(path, "it is not a file"));
    }
    let file = File::open(path).map_err(|error| named(&error))?;
    let mode = file.metadata().map_err(|error| named(&error))?.mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(Error {
            field: "attribution.keys_file".to_owned(),
            ..Error::new(
                ErrorKind::FailedPrecondition,
                "ATTRIBUTION_KEYS_EXPOSED",
                format!(
                    "{} has mode {mode:04o}, which lets others at its keys; it must be 0600 or 0400, and keys that \
                     others may have seen must be replaced",
                    path.display()
                ),
            )
            .with("file", path.display())
            .with("value", format!("{mode:04o}"))
        });
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| named(&error))?;
    parse(path, &bytes)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<StoredKey>> {
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(invalid(
            path,
            format!("it has more than {FILE_BYTES_MAX} bytes; it must be one or two lines"),
        ));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| invalid(path, "it is not text"))?;
    let mut keys: Vec<StoredKey> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let number = at + 1;
        if keys.len() == KEYS_MAX {
            return Err(invalid(
                path,
                format!(
                    "it has more than {KEYS_MAX} lines; the newest and the one before it are enough"
                ),
            ));
        }
        let key = parse_line(line).ok_or_else(|| {
            invalid(
                path,
                format!(
                    "line {number} is malformed; a line is a key id from 0 to 255, one space, and {} hex digits",
                    SECRET_BYTES * 2
                ),
            )
        })?;
        if keys.iter().any(|other| other.id == key.id) {
            return Err(invalid(
                path,
                format!("line {number} has key id {} again; ids must differ", key.id),
            ));
        }
        keys.push(key);
    }
    if keys.is_empty() {
        return Err(invalid(path, "it has no key; remove it to get a new one"));
    }
    Ok(keys)
}

fn parse_line(line: &str) -> Option<StoredKey> {
    let (id, digits) = line.split_once(' ')?;
    let is_decimal = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    if !is_decimal || digits.len() != SECRET_BYTES * 2 {
        return None;
    }
    let mut secret = [0; SECRET_BYTES];
    for (byte, pair) in secret.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = (high * 16 + low) as u8;
    }
    Some(StoredKey {
        id: id.parse().ok()?,
        secret,
    })
}

fn make(path: &Path) -> Result<()> {
    let mut secret = [0_u8; SECRET_BYTES];
    let mut suffix = [0_u8; 8];
    getrandom::fill(&mut secret)
        .and_then(|()| getrandom::fill(&mut suffix))
        .map_err(|error| {
            Error::new(
                ErrorKind::Io,
                "IO",
                format!("the system gives no random numbers: {error}"),
            )
        })?;
    let mut line = "1 ".to_owned();
    for byte in secret {
        // Writing to a String cannot fail.
        let _ = write!(line, "{byte:02x}");
    }
    line.push('\n');

    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{:016x}", u64::from_le_bytes(suffix)));
    let aside = Path::new(&aside);
    let made = write_whole(aside, line.as_bytes()).and_then(|()| fs::hard_link(aside, path));
    let _ = fs::remove_file(aside);
    match made {
        Ok(()) => {}
        // Somebody else was first: theirs is read.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(Error::io(path.display(), &error)),
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| Error::io(folder.display(), &error))
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn invalid(path: &Path, what: impl std::fmt::Display) -> Error {
    Error {
        field: "attribution.keys_file".to_owned(),
        ..Error::data_loss(path.display(), "ATTRIBUTION_KEYS_INVALID", what)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn refused(text: &[u8]) -> Error {
        match parse(Path::new("attribution.keys"), text) {
            Ok(_) => panic!("{:?} was read", String::from_utf8_lossy(text)),
            Err(error) => error,
        }
    }

    #[test]
    fn an_absent_file_is_made_for_its_owner_and_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("attribution.keys");
        let made = read_or_make(&path).expect("made");
        let mode = fs::metadata(&path).expect("there").mode() & 0o777;
        assert_eq!((made.len(), made[0].id, mode), (1, 1, 0o600));
        let again = read_or_make(&path).expect("read");
        assert_eq!(again[0].secret, made[0].secret);
        let names: Vec<_> = fs::read_dir(folder.path())
            .expect("listed")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        assert_eq!(names, ["attribution.keys"], "nothing is left aside");

        let other = tempfile::tempdir().expect("a folder");
        let theirs = read_or_make(&other.path().join("attribution.keys")).expect("made");
        assert_ne!(theirs[0].secret, made[0].secret);
    }

    #[test]
    fn of_many_that_make_it_at_once_all_read_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("attribution.keys");
        let secrets: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| read_or_make(&path).expect("made or read")[0].secret))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("no panic"))
                .collect()
        });
        assert!(secrets.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("attribution.keys");
        read_or_make(&path).expect("made");
        for mode in [0o640, 0o604, 0o620, 0o644, 0o777] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("changed");
            let error = read_or_make(&path).err().expect("refused");
            assert_eq!(error.reason, "ATTRIBUTION_KEYS_EXPOSED");
            assert!(error.message.contains(&format!("{mode:04o}")), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).expect("changed");
        read_or_make(&path).expect("its owner's alone");
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = read_or_make(folder.path()).err().expect("refused");
        assert_eq!(error.reason, "ATTRIBUTION_KEYS_INVALID");
        let absent = folder.path().join("absent").join("attribution.keys");
        let error = read_or_make(&absent).err().expect("refused");
        assert_eq!(error.kind, ErrorKind::Io);
    }

    #[test]
    fn malformed_files_are_refused_by_line_and_not_repeated() {
        let secret = "5e".repeat(32);
        let good = format!("1 {secret}\n");
        for (text, says) in [
            (String::new(), "no key"),
            (format!("256 {secret}\n"), "line 1"),
            (format!("-1 {secret}\n"), "line 1"),
            (format!("+1 {secret}\n"), "line 1"),
            (format!(" {secret}\n"), "line 1"),
            (format!("1  {secret}\n"), "line 1"),
            (format!("1 {secret} \n"), "line 1"),
            (format!("1\t{secret}\n"), "line 1"),
            (format!("1 {}\n", &secret[1..]), "line 1"),
            (format!("1 {secret}0\n"), "line 1"),
            (format!("1 {}zz\n", &secret[2..]), "line 1"),
            (format!("{good}two\n"), "line 2"),
            (format!("{good}\n"), "line 2"),
            (format!("{good}{good}"), "again"),
            (
                format!("{good}2 {secret}\n3 {secret}\n"),
                "more than 2 lines",
            ),
            ("1".repeat(5000), "more than 4096 bytes"),
        ] {
            let error = refused(text.as_bytes());
            assert_eq!(error.reason, "ATTRIBUTION_KEYS_INVALID");
            assert!(error.message.contains(says), "{error}");
            assert!(!error.message.contains("5e5e"), "{error}");
        }
        assert_eq!(refused(&[0xff, 0xfe]).reason, "ATTRIBUTION_KEYS_INVALID");
        let both = format!("{good}0 {}\n", secret.to_uppercase());
        let keys = parse(Path::new("attribution.keys"), both.as_bytes()).expect("read");
        assert_eq!((keys[0].id, keys[1].id), (1, 0));
        assert_eq!(keys[0].secret, keys[1].secret);
    }
}
