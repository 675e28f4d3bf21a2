//! ACPI tables: the CPUs, the interrupt controllers, the PCI root with its windows, the serial port, and a port
//! for power. "Hardware-reduced" (ACPI 6.5, 4.1): there are no timers, no buttons and no event
//! blocks of ACPI's own, and a guest is not to look for a keyboard controller or a clock chip.

use crate::guest::BootError;
use acpi_tables::fadt::{FADTBuilder, Flags};
use acpi_tables::gas::{AccessSize, AddressSpace, GAS};
use acpi_tables::madt::{EnabledStatus, IoApic, LocalInterruptController, MADT, ProcessorLocalApic};
use acpi_tables::mcfg::MCFG;
use acpi_tables::rsdp::Rsdp;
use acpi_tables::sdt::Sdt;
use acpi_tables::xsdt::XSDT;
use acpi_tables::{Aml, aml};
use barkeep_platform::interrupts::intx;
use barkeep_platform::{Ram, map};
use std::ops::Range;
use vm_memory::{Bytes, GuestAddress};

const OEM: [u8; 6] = *b"BARKEP";
const TABLE: [u8; 8] = *b"BARKEEP ";
const REVISION: u32 = 1;
/// Bytes of a table's header.
const HEADER: u32 = 36;
/// `IAPC_BOOT_ARCH`: no VGA to look for, no CMOS clock (ACPI 6.5, table 5.11).
const NO_VGA_NO_CLOCK: u16 = 1 << 2 | 1 << 5;

/// Writes all tables; gives the guest physical address of the root pointer.
pub(crate) fn write(ram: &Ram, vcpus: u16) -> Result<u64, BootError> {
    let mut next = map::ACPI.start + Rsdp::len() as u64;
    let mut put = |table: &dyn Aml| -> Result<u64, BootError> {
        let mut bytes = Vec::new();
        table.to_aml_bytes(&mut bytes);
        // Each begins at a multiple of 16, as some readers expect of the first.
        let at = next.next_multiple_of(16);
        next = at + bytes.len() as u64;
        ram.memory().write_slice(&bytes, GuestAddress(at))?;
        Ok(at)
    };
    let dsdt = put(&dsdt())?;
    let tables = [put(&fadt(dsdt))?, put(&madt(vcpus))?, put(&mcfg())?];
    let mut root = XSDT::new(OEM, TABLE, REVISION);
    tables.iter().for_each(|table| root.add_entry(*table));
    let root = put(&root)?;
    let mut bytes = Vec::new();
    Rsdp::new(OEM, root).to_aml_bytes(&mut bytes);
    ram.memory().write_slice(&bytes, GuestAddress(map::ACPI.start))?;
    Ok(map::ACPI.start)
}

/// A register that is one I/O port.
fn port(number: u16) -> GAS {
    GAS::new(AddressSpace::SystemIo, 8, 0, AccessSize::ByteAccess, number.into())
}

fn fadt(dsdt: u64) -> acpi_tables::fadt::FADT {
    let mut table = FADTBuilder::new(OEM, TABLE, REVISION)
        .dsdt_64(dsdt)
        .flag(Flags::HwReducedAcpi)
        .flag(Flags::ResetRegSup)
        .flag(Flags::Headless);
    table.iapc_boot_arch = NO_VGA_NO_CLOCK.into();
    table.reset_reg = port(map::RESET_PORT);
    table.reset_value = map::RESET_VALUE;
    table.sleep_control_reg = port(map::SLEEP_CONTROL_PORT);
    table.sleep_status_reg = port(map::SLEEP_STATUS_PORT);
    table.finalize()
}

fn madt(vcpus: u16) -> MADT {
    let mut table = MADT::new(OEM, TABLE, REVISION, LocalInterruptController::Address(map::LOCAL_APIC));
    for vcpu in 0..vcpus {
        // At most 64 vCPUs: each has an 8-bit ID.
        let id = vcpu as u8;
        table.add_structure(ProcessorLocalApic::new(id, id, EnabledStatus::Enabled));
    }
    table.add_structure(IoApic::new(0, map::IO_APIC, 0));
    table
}

fn mcfg() -> MCFG {
    let mut table = MCFG::new(OEM, TABLE, REVISION);
    table.add_ecam(map::ECAM.start, 0, 0, 0xff);
    table
}

fn dsdt() -> Sdt {
    let mut table = Sdt::new(*b"DSDT", HEADER, 6, OEM, TABLE, REVISION);
    for part in [pci_root(), serial_port(), panic_port(), power_off()] {
        table.append_slice(&part);
    }
    table
}

fn bytes_of(part: &dyn Aml) -> Vec<u8> {
    let mut bytes = Vec::new();
    part.to_aml_bytes(&mut bytes);
    bytes
}

fn pci_root() -> Vec<u8> {
    let memory = |range: &Range<u64>| {
        let cacheable = aml::AddressSpaceCacheable::NotCacheable;
        aml::AddressSpace::new_memory(cacheable, true, range.start, range.end - 1, None)
    };
    let (low, high) = (memory(&map::MMIO32), memory(&map::MMIO64));
    let buses = aml::AddressSpace::new_bus_number(0_u16, 0xff);
    let config = map::PCI_CONFIG_ADDRESS.start;
    let config = aml::IO::new(config, config, 1, (map::PCI_CONFIG_DATA.end - config) as u8);
    let resources = aml::ResourceTemplate::new(vec![&buses, &config, &low, &high]);
    let routes: Vec<_> =
        (0..SLOTS).flat_map(|slot| (0..PINS).map(move |pin| (slot, pin))).map(pin_route).collect();
    let routes: Vec<&dyn Aml> = routes.iter().map(|route| route as &dyn Aml).collect();
    bytes_of(&aml::Device::new(
        "_SB_.PCI0".into(),
        vec![
            // PCI Express; an ordinary PCI root for who knows no better.
            &aml::Name::new("_HID".into(), &aml::EISAName::new("PNP0A08")),
            &aml::Name::new("_CID".into(), &aml::EISAName::new("PNP0A03")),
            &aml::Name::new("_SEG".into(), &aml::ZERO),
            &aml::Name::new("_BBN".into(), &aml::ZERO),
            &aml::Name::new("_UID".into(), &aml::ZERO),
            &aml::Name::new("_CRS".into(), &resources),
            &aml::Name::new("_PRT".into(), &aml::Package::new(routes)),
        ],
    ))
}

/// Slots of a bus, and pins of each.
const SLOTS: u8 = 32;
const PINS: u8 = 4;

/// Where a pin of a slot goes: an entry of `_PRT` without a link device (ACPI 6.5, 6.2.13), which is
/// level-triggered and active low.
struct PinRoute {
    /// Slot in the upper half, and all of its functions.
    address: u32,
    pin: u8,
    gsi: u32,
}

fn pin_route((slot, pin): (u8, u8)) -> PinRoute {
    PinRoute { address: u32::from(slot) << 16 | 0xffff, pin, gsi: intx::gsi(slot, pin) }
}

impl Aml for PinRoute {
    fn to_aml_bytes(&self, sink: &mut dyn acpi_tables::AmlSink) {
        let Self { address, pin, gsi } = self;
        aml::Package::new(vec![address, pin, &aml::ZERO, gsi]).to_aml_bytes(sink);
    }
}

fn serial_port() -> Vec<u8> {
    let ports = map::SERIAL;
    let io = aml::IO::new(ports.start, ports.start, 1, (ports.end - ports.start) as u8);
    // An ISA interrupt: edge-triggered, active high, nobody else's.
    let interrupt = aml::Interrupt::new(true, true, false, false, map::SERIAL_GSI);
    let resources = aml::ResourceTemplate::new(vec![&interrupt, &io]);
    bytes_of(&aml::Device::new(
        "_SB_.COM1".into(),
        vec![
            &aml::Name::new("_HID".into(), &aml::EISAName::new("PNP0501")),
            &aml::Name::new("_UID".into(), &aml::ZERO),
            &aml::Name::new("_CRS".into(), &resources),
        ],
    ))
}

/// Where a kernel that panics says so; Linux's driver knows it by QEMU's name for it (QEMU, docs/specs/pvpanic.rst).
fn panic_port() -> Vec<u8> {
    let io = aml::IO::new(map::PANIC_PORT, map::PANIC_PORT, 1, 1);
    let resources = aml::ResourceTemplate::new(vec![&io]);
    bytes_of(&aml::Device::new(
        "_SB_.PEVT".into(),
        vec![&aml::Name::new("_HID".into(), &"QEMU0001"), &aml::Name::new("_CRS".into(), &resources)],
    ))
}

/// What to write into the sleep control register to be powered off.
fn power_off() -> Vec<u8> {
    let kind = map::SLEEP_POWER_OFF;
    bytes_of(&aml::Name::new("_S5_".into(), &aml::Package::new(vec![&kind])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(bytes: &[u8]) -> u8 {
        bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
    }

    fn read(ram: &Ram, at: u64, size: usize) -> Vec<u8> {
        let mut bytes = vec![0; size];
        ram.memory().read_slice(&mut bytes, GuestAddress(at)).unwrap();
        bytes
    }

    fn number(bytes: &[u8]) -> u64 {
        bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// A table by its address, whole and with a good checksum.
    fn table(ram: &Ram, at: u64) -> Vec<u8> {
        assert!(map::ACPI.contains(&at), "{at:#x}");
        let size = number(&read(ram, at + 4, 4)) as usize;
        assert!(at + size as u64 <= map::ACPI.end);
        let table = read(ram, at, size);
        assert_eq!(sum(&table), 0);
        table
    }

    /// As a guest finds them: from the root pointer on.
    #[test]
    fn every_table_is_found_and_its_checksum_is_good() {
        let ram = Ram::new(64 << 20).unwrap();
        let rsdp = write(&ram, 64).unwrap();
        let root = read(&ram, rsdp, 36);
        assert_eq!((&root[..8], root[15], sum(&root[..20]), sum(&root)), (&b"RSD PTR "[..], 2, 0, 0));
        let root = table(&ram, number(&root[24..32]));
        let mut signatures = Vec::new();
        for entry in root[36..].chunks_exact(8) {
            let table = table(&ram, number(entry));
            signatures.push(String::from_utf8(table[..4].to_vec()).unwrap());
            match &table[..4] {
                b"FACP" => {
                    let dsdt = self::table(&ram, number(&table[140..148]));
                    assert_eq!(&dsdt[..4], b"DSDT");
                    assert_eq!(number(&table[112..116]), 1 << 20 | 1 << 10 | 1 << 12, "flags");
                }
                b"APIC" => {
                    assert_eq!(table[44..].chunks(8).filter(|entry| entry[..2] == [0, 8]).count(), 64);
                }
                b"MCFG" => assert_eq!(number(&table[44..52]), map::ECAM.start),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(signatures, ["FACP", "APIC", "MCFG"]);
    }
}
