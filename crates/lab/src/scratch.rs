//! The machine's private files: kernel, initramfs, and the memory it shares with us.
//!
//! They have no names. QEMU inherits them and finds them under `/proc/self/fd`, so nothing
//! can be left behind, whatever ends us, and a small `/dev/shm` is no limit.

use crate::command_line::{Files, JOURNAL_SIZE, PARCEL_SIZE};
use crate::disk;
use rustix::fs::{MemfdFlags, memfd_create};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::sync::Arc;

/// What a machine is made of and shares.
pub(crate) struct Scratch {
    kernel: Option<Arc<File>>,
    initramfs: Arc<File>,
    pub(crate) journal: Arc<File>,
    pub(crate) parcel: Arc<File>,
    disks: Vec<Arc<File>>,
}

impl Scratch {
    /// `kernel` is absent where QEMU reads the kernel from the file the user named; `disks` are sizes in bytes.
    pub(crate) fn new(
        kernel: Option<&[u8]>,
        initramfs: &[u8],
        disks: impl IntoIterator<Item = u64>,
    ) -> io::Result<Self> {
        Ok(Self {
            kernel: kernel.map(|bytes| filled("kernel", bytes)).transpose()?,
            initramfs: filled("initramfs", initramfs)?,
            journal: sized("journal", JOURNAL_SIZE)?,
            parcel: sized("parcel", PARCEL_SIZE)?,
            disks: disks.into_iter().map(made_disk).collect::<io::Result<_>>()?,
        })
    }

    /// Where QEMU, having inherited them, finds the files.
    pub(crate) fn names(&self) -> Files {
        Files {
            kernel: self.kernel.as_ref().map(path),
            initramfs: path(&self.initramfs),
            journal: path(&self.journal),
            parcel: path(&self.parcel),
            disks: self.disks.iter().map(path).collect(),
        }
    }

    /// The files QEMU is to inherit.
    pub(crate) fn inherited(&self) -> Vec<Arc<File>> {
        let files = [&self.initramfs, &self.journal, &self.parcel];
        files.into_iter().chain(&self.kernel).chain(&self.disks).cloned().collect()
    }
}

fn path(file: &Arc<File>) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

fn sized(name: &str, size: usize) -> io::Result<Arc<File>> {
    let file = File::from(memfd_create(name, MemfdFlags::CLOEXEC)?);
    file.set_len(size as u64)?;
    Ok(Arc::new(file))
}

fn filled(name: &str, bytes: &[u8]) -> io::Result<Arc<File>> {
    let file = sized(name, 0)?;
    (&*file).write_all(bytes)?;
    Ok(file)
}

fn made_disk(size: u64) -> io::Result<Arc<File>> {
    let file = sized("disk", 0)?;
    disk::write(&*file, size)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::Qemu;
    use crate::parcel;

    #[test]
    fn a_child_reads_and_writes_what_it_inherits() {
        let scratch = Scratch::new(None, b"from here", []).unwrap();
        let Files { kernel, initramfs, parcel, .. } = scratch.names();
        assert_eq!(kernel, None);
        let script = format!("cat {initramfs} && printf BARKEEPP >{parcel}");
        let line = ["sh", "-c", &script].map(str::to_owned);
        let mut child = Qemu::start(&line, scratch.inherited()).unwrap();
        while child.ended().unwrap().is_none() {}
        assert_eq!(child.said(), "from here");
        let magic = std::io::Read::bytes(&*scratch.parcel).take(8).collect::<io::Result<Vec<_>>>().unwrap();
        assert_eq!(magic, parcel::MAGIC);
    }
}
