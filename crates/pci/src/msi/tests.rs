use super::*;

fn msi(is_64bit: bool, maskable: bool, vectors: u16) -> Msi {
    Msi::new(MsiCapability { offset: 0x50, is_64bit, maskable, vectors })
}

fn shown(msi: &Msi, offset: u16) -> u32 {
    let mut bytes = [0xaa; 4];
    msi.show(offset, &mut bytes, 0);
    u32::from_le_bytes(bytes)
}

#[test]
fn only_enable_and_the_vectors_can_be_written_in_control() {
    let mut msi = msi(true, true, 8);
    assert_eq!(shown(&msi, 0x50), 0x0186_aaaa, "ID and pointer are the device's");
    assert!(msi.write(&ConfigWrite::dword(0x50, 0xffff_ffff)));
    assert_eq!(shown(&msi, 0x50), 0x01f7_aaaa);
    assert_eq!((msi.is_enabled(), msi.vectors()), (true, 8), "and no more than it has");
    assert!(!msi.write(&ConfigWrite::dword(0x4c, 0)) && !msi.write(&ConfigWrite::dword(0x6c, 0)));
}

#[test]
fn a_write_of_the_head_does_not_reach_the_device_either() {
    let mut msi = msi(true, false, 1);
    assert!(msi.covers(0x50) && msi.covers(0x51) && !msi.covers(0x4f));
    assert!(msi.write(&ConfigWrite::word(0x50, 0xffff)));
    assert_eq!(shown(&msi, 0x50), 0x0080_aaaa);
}

#[test]
fn a_message_is_where_the_width_of_the_address_puts_it() {
    for (is_64bit, data_at, address) in [(false, 0x58, 0xfee0_1004_u64), (true, 0x5c, 0x2_fee0_1004)] {
        let mut msi = msi(is_64bit, false, 4);
        msi.write(&ConfigWrite::dword(0x54, 0xfee0_1007));
        msi.write(&ConfigWrite::dword(0x58, 2));
        msi.write(&ConfigWrite::word(data_at, 0x4043));
        msi.write(&ConfigWrite::byte(0x52, 0x21));
        assert_eq!(msi.vectors(), 4);
        assert_eq!(msi.message(2), Message { address, data: 0x4042 });
        assert_eq!(msi.message(2).is_interrupt(), !is_64bit);
        assert_eq!(msi.message(3).data, 0x4043);
    }
}

#[test]
fn bytes_between_and_behind_the_registers_are_the_devices() {
    let narrow = msi(false, false, 1);
    assert_eq!(shown(&narrow, 0x58), 0xaaaa_0000);
    assert_eq!(shown(&narrow, 0x5c), 0xaaaa_aaaa);
    let wide = msi(true, true, 1);
    assert_eq!(shown(&wide, 0x5c), 0xaaaa_0000);
    assert!(wide.covers(0x67) && !wide.covers(0x68));
}

#[test]
fn masks_are_kept_and_pending_bits_cannot_be_written() {
    let mut msi = msi(true, true, 32);
    assert!(msi.write(&ConfigWrite::dword(0x60, 0x8000_0001)));
    assert!(msi.write(&ConfigWrite::dword(0x64, 0xffff_ffff)), "it is ours all the same");
    assert!(msi.is_masked(0) && !msi.is_masked(1) && msi.is_masked(31));
    let mut both = [0; 8];
    msi.show(0x60, &mut both, 0x0102_0304);
    assert_eq!(both, [1, 0, 0, 0x80, 4, 3, 2, 1]);
    msi.reset();
    assert!(!msi.is_masked(0));
}

#[test]
fn without_masks_nothing_is_masked() {
    let mut msi = msi(true, false, 1);
    assert!(!msi.write(&ConfigWrite::dword(0x60, 0xffff_ffff)));
    assert!(!msi.is_masked(0));
}
