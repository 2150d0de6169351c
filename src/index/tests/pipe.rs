//! Streams through a path.

use std::io::{self, Read, Write};
use std::time::Duration;

use super::super::pipe::{copy_in, copy_out};

/// More than a pipe holds.
const LENGTH: usize = 3_000_000;

fn content() -> Vec<u8> {
    (0..LENGTH).map(|at| (at % 251) as u8).collect()
}

/// Takes a few bytes, and then no more.
struct Full;

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() < 1000 { Ok(bytes.len()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Gives a few bytes, and then no more.
struct Broken(usize);

impl Read for Broken {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.0 -= 1;
        out.fill(1);
        Ok(out.len())
    }
}

#[test]
fn what_is_saved_to_the_path_comes_out() {
    let mut out = Vec::new();
    copy_out(LENGTH as u64, &mut out, |path| std::fs::write(path, content())).unwrap().unwrap();
    assert!(out == content());
}

#[test]
fn a_save_that_fails_or_ends_too_early_is_an_error() {
    let save = |count: usize, outcome: io::Result<()>| {
        copy_out(LENGTH as u64, &mut Vec::new(), move |path| std::fs::write(path, &content()[..count]).and(outcome))
            .unwrap()
    };
    assert!(save(LENGTH, Ok(())).is_ok(), "the negative control");
    assert_eq!(save(LENGTH - 1, Ok(())).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!(save(0, Err(io::ErrorKind::Other.into())).unwrap_err().kind(), io::ErrorKind::Other);
    assert_eq!(save(LENGTH, Err(io::ErrorKind::Other.into())).unwrap_err().kind(), io::ErrorKind::Other);
}

#[test]
fn a_save_whose_bytes_find_no_room_ends() {
    let error = copy_out(LENGTH as u64, &mut Full, |path| std::fs::write(path, content())).unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}

#[test]
fn what_goes_in_is_loaded_from_the_path() {
    let loaded = std::sync::Mutex::new(Vec::new());
    let load = |path: &str| std::fs::read(path).map(|bytes| *loaded.lock().unwrap() = bytes);
    copy_in(&mut &content()[..], load).unwrap().unwrap();
    assert!(loaded.into_inner().unwrap() == content());
}

#[test]
fn what_does_not_fit_waits_for_a_load_that_begins_late() {
    let loaded = std::sync::Mutex::new(Vec::new());
    let load = |path: &str| {
        std::thread::sleep(Duration::from_millis(50));
        std::fs::read(path).map(|bytes| *loaded.lock().unwrap() = bytes)
    };
    copy_in(&mut &content()[..], load).unwrap().unwrap();
    assert!(loaded.into_inner().unwrap() == content());
}

#[test]
fn a_load_that_reads_no_further_ends() {
    let load = |_: &str| Err(io::ErrorKind::Unsupported.into());
    assert_eq!(copy_in(&mut &content()[..], load).unwrap().unwrap_err().kind(), io::ErrorKind::Unsupported);
    copy_in(&mut &content()[..], |_| Ok(())).unwrap().unwrap();
}

#[test]
fn input_that_breaks_off_is_its_own_error() {
    let load = |path: &str| std::fs::read(path).map(drop);
    assert_eq!(copy_in(&mut Broken(20), load).unwrap().unwrap_err().kind(), io::ErrorKind::InvalidData);
}
