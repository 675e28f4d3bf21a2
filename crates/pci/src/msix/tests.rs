use super::*;

const VECTORS: u16 = 70;

fn msix() -> Msix {
    let table = Location { bar: 0, offset: 0x2000, size: u64::from(VECTORS) * header::MSIX_ENTRY_SIZE };
    let pba = Location { bar: 2, offset: 0x3000, size: 16 };
    Msix::new(MsixCapability { offset: 0x40, table, pba })
}

fn nothing(_: u16) -> bool {
    false
}

#[test]
fn control_shows_the_count_and_takes_enable_and_the_mask_of_all() {
    let mut msix = msix();
    assert!(!msix.is_enabled());
    assert!(msix.write(&ConfigWrite::dword(0x40, 0xffff_ffff)));
    let mut shown = [0xaa; 4];
    msix.show(0x40, &mut shown);
    assert_eq!(u32::from_le_bytes(shown), 0xc045_aaaa);
    assert!(msix.is_enabled() && msix.is_masked(0));
    assert!(!msix.write(&ConfigWrite::dword(0x44, 0xffff_ffff)), "where the table is cannot be written");
    assert!(msix.write(&ConfigWrite::byte(0x42, 0xff)), "nor can the count");
    assert_eq!(msix.vectors(), VECTORS);
}

#[test]
fn every_vector_starts_masked() {
    let mut msix = msix();
    let mut control = [0; 4];
    msix.bar_read(0, 0x2000 + 3 * 16 + 12, &mut control, nothing);
    assert_eq!(u32::from_le_bytes(control), 1);
    assert!((0..VECTORS).all(|vector| msix.is_masked(vector)));
    assert!(msix.bar_write(0, 0x2000 + 3 * 16 + 12, &[0; 4]));
    assert!(!msix.is_masked(3) && msix.is_masked(4));
    msix.reset();
    assert!(msix.is_masked(3));
}

#[test]
fn a_message_is_what_the_entry_says() {
    let mut msix = msix();
    msix.bar_write(0, 0x2450, &0x1_fee0_1003_u64.to_le_bytes());
    msix.bar_write(0, 0x2458, &0x4021_u32.to_le_bytes());
    assert_eq!(msix.message(69), Message { address: 0x1_fee0_1000, data: 0x4021 });
}

#[test]
fn pending_bits_are_those_of_vectors_there_are_and_cannot_be_written() {
    let mut msix = msix();
    assert!(!msix.bar_write(2, 0x3000, &[0xff; 8]));
    let mut pending = [0; 8];
    msix.bar_read(2, 0x3000, &mut pending, |vector| vector == 9);
    assert_eq!(pending, [0, 2, 0, 0, 0, 0, 0, 0]);
    msix.bar_read(2, 0x3008, &mut pending, |_| true);
    assert_eq!(pending, [0x3f, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn accesses_past_the_end_read_zero_and_write_nothing() {
    let mut msix = msix();
    let mut across = [7; 8];
    assert!(!msix.bar_write(0, 0x245c, &[0xff; 8]));
    msix.bar_read(0, 0x245c, &mut across, nothing);
    assert_eq!(across, [0; 8]);
    let mut last = [7; 4];
    msix.bar_read(0, 0x245c, &mut last, nothing);
    assert_eq!(u32::from_le_bytes(last), 1);
    let capability = msix.capability;
    assert!(capability.has(0, 0x245f) && !capability.has(0, 0x2460) && !capability.has(1, 0x2000));
    assert!(capability.has(2, 0x300f) && !capability.has(2, 0x3010));
}
