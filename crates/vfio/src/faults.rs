//! The IOMMU's fault records, as the kernel logs them. There is no other way to see them:
//! `iommufd` has fault queues only for page requests.

use barkeep_export::{Fault, FaultSource};
use barkeep_journal::DeviceAddress;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

/// The kernel's log, read for faults from the moment it was opened. Their time is the kernel's
/// own, to the microsecond.
pub struct FaultLog {
    log: File,
}

impl FaultLog {
    /// Opens `/dev/kmsg` at its end.
    ///
    /// # Errors
    /// EPERM or EACCES without the right to read the kernel's log (`CAP_SYSLOG`).
    pub fn open() -> std::io::Result<Self> {
        let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let mut log = File::options().read(true).custom_flags(nonblocking).open("/dev/kmsg")?;
        log.seek(SeekFrom::End(0))?;
        Ok(Self { log })
    }

    /// The same open file, readable whenever there is something to be taken: for whoever waits.
    ///
    /// # Errors
    /// EMFILE.
    pub fn waker(&self) -> std::io::Result<File> {
        self.log.try_clone()
    }
}

impl FaultSource for FaultLog {
    fn take(&mut self) -> Vec<Fault> {
        let mut faults = Vec::new();
        // One read is one record; 8 KiB is more than the kernel ever gives.
        let mut record = [0; 8192];
        loop {
            match self.log.read(&mut record) {
                Ok(0) => return faults,
                Ok(length) => faults.extend(parse(&String::from_utf8_lossy(&record[..length]))),
                // Records were overwritten before they were read; the next one is there.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
                Err(_) => return faults,
            }
        }
    }
}

/// Reads a record of `/dev/kmsg`: `level,sequence,microseconds,flags;text`.
fn parse(record: &str) -> Option<Fault> {
    let (prefix, text) = record.split_once(';')?;
    let text = text.lines().next()?;
    let microseconds: u64 = prefix.split(',').nth(2)?.parse().ok()?;
    let (requester, iova) = vt_d(text).or_else(|| amd_vi(text))?;
    let time_ns = microseconds.checked_mul(1000)?;
    Some(Fault { time_ns, requester, iova, text: text.to_owned() })
}

/// `DMAR: [DMA Write NO_PASID] Request device [00:04.0] fault addr 0xe0000000 [fault reason
/// 0x05] …` (`dmar_fault_do_one`).
fn vt_d(text: &str) -> Option<(DeviceAddress, u64)> {
    let rest = text.strip_prefix("DMAR: [DMA ")?;
    let (_, rest) = rest.split_once("Request device [")?;
    let (requester, rest) = rest.split_once(']')?;
    let (_, rest) = rest.split_once("fault addr 0x")?;
    Some((requester.parse().ok()?, hexadecimal(rest)?))
}

/// `… AMD-Vi: Event logged [IO_PAGE_FAULT device=0000:01:00.0 domain=0x000f
/// address=0xe0000000 flags=0x0020]` (`amd_iommu_report_page_fault`).
fn amd_vi(text: &str) -> Option<(DeviceAddress, u64)> {
    let (_, rest) = text.split_once("IO_PAGE_FAULT")?;
    let (_, after) = rest.split_once("device=")?;
    let requester = after.split_whitespace().next()?.parse().ok();
    // Where the device has a driver, its name stands before the event instead.
    let named = || text.split_whitespace().find_map(|word| word.trim_end_matches(':').parse().ok());
    let (_, address) = rest.split_once("address=0x")?;
    Some((requester.or_else(named)?, hexadecimal(address)?))
}

fn hexadecimal(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(text.len());
    u64::from_str_radix(&text[..end], 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_iommu_are_understood() {
        let record = "3,612,4210035,-;DMAR: [DMA Write NO_PASID] Request device [00:04.0] \
                      fault addr 0xc0000000 [fault reason 0x05] PTE Write access is not set\n";
        let fault = parse(record).unwrap();
        assert_eq!((fault.time_ns, fault.iova), (4_210_035_000, 0xc000_0000));
        assert_eq!(fault.requester.to_string(), "0000:00:04.0");
        let record = "4,1,77,-;vfio-pci 0000:01:00.0: AMD-Vi: Event logged [IO_PAGE_FAULT \
                      device=0000:01:00.0 domain=0x000f address=0x7f001000 flags=0x0020]\n";
        let fault = parse(record).unwrap();
        assert_eq!((fault.requester.to_string().as_str(), fault.iova), ("0000:01:00.0", 0x7f00_1000));
    }

    #[test]
    fn other_lines_are_no_faults() {
        for record in [
            "6,1,2,-;vfio-pci 0000:00:03.0: resetting\n",
            "3,1,2,-;DMAR: DRHD: handling fault status reg 2\n",
            "3,1,2,-;DMAR: [DMA Write] Request device [zz:zz.z] fault addr 0x0\n",
            "no prefix",
            "",
            ";",
        ] {
            assert_eq!(parse(record), None, "{record}");
        }
    }
}
