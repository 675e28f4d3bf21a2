use super::*;
use crate::image::Image;
use Effect::*;

const ON: u16 = header::COMMAND_MEMORY | header::COMMAND_MASTER;
const OFF: u16 = header::COMMAND_MASTER;

fn registers(command: u16, pmcsr: u16) -> Registers {
    Registers { command, pmcsr }
}

/// Classifies on `layout` and checks the order and the three questions.
#[track_caller]
fn check(
    layout: &Layout,
    before: Registers,
    write: ConfigWrite,
    expected: &[Effect],
    (revokes, may_restore, resets): (bool, bool, bool),
) {
    let effects = layout.classify(&before, &write);
    let list: Vec<Effect> = effects.iter().collect();
    assert_eq!(list, expected, "{write}");
    assert_eq!(effects.revokes(), revokes, "revokes: {write}");
    assert_eq!(effects.may_restore(), may_restore, "may_restore: {write}");
    assert_eq!(effects.resets(), resets, "resets: {write}");
}

const NOTHING: (bool, bool, bool) = (false, false, false);
const REVOKED: (bool, bool, bool) = (true, false, false);
const RESTORED: (bool, bool, bool) = (false, true, false);
const BOTH: (bool, bool, bool) = (true, true, false);
const RESET: (bool, bool, bool) = (true, true, true);

#[test]
fn command_turns_decode_off_and_on() {
    let card = Image::card();
    let (on, off) = (registers(ON, 0), registers(OFF, 0));
    check(&card, on, ConfigWrite::word(4, OFF), &[DecodeOff], REVOKED);
    check(&card, off, ConfigWrite::word(4, ON), &[DecodeOn], RESTORED);
    check(&card, on, ConfigWrite::word(4, ON), &[DecodeKept], RESTORED);
    // Off to off revokes nothing that was live, but the kernel takes the path.
    check(&card, off, ConfigWrite::word(4, OFF), &[DecodeOff], REVOKED);
    check(&card, on, ConfigWrite::byte(4, 0), &[DecodeOff], REVOKED);
}

#[test]
fn four_bytes_of_command_and_status_count() {
    let card = Image::card();
    let on = registers(ON, 0);
    let write = ConfigWrite::dword(4, 0xffff_0000);
    check(&card, on, write, &[DecodeOff], REVOKED);
    let write = ConfigWrite::dword(4, 0xffff_0006);
    check(&card, on, write, &[DecodeKept], RESTORED);
}

#[test]
fn the_high_byte_of_command_does_nothing_but_is_kept() {
    let card = Image::card();
    let on = registers(ON, 0);
    for write in [
        ConfigWrite::byte(5, 0),
        ConfigWrite::byte(5, 0xff),
        ConfigWrite::word(6, 0),
        ConfigWrite::word(5, 0),
        ConfigWrite::dword(5, 0),
    ] {
        check(&card, on, write, &[], NOTHING);
    }
    let after = card.after(&on, &ConfigWrite::byte(5, 0x04));
    assert_eq!(after.command, ON | header::COMMAND_INTX_DISABLE);
    assert!(card.memory_enabled(&after));
}

#[test]
fn a_write_that_straddles_into_command_counts() {
    let card = Image::card();
    let on = registers(ON, 0);
    for offset in 1..=3 {
        check(&card, on, ConfigWrite::dword(offset, 0), &[DecodeOff], REVOKED);
    }
    check(&card, on, ConfigWrite::word(3, 0), &[DecodeOff], REVOKED);
    check(&card, on, ConfigWrite::dword(0, 0), &[], NOTHING);
    check(&card, on, ConfigWrite::word(2, 0), &[], NOTHING);
}

#[test]
fn decode_on_in_d3hot_stays_revoked() {
    let card = Image::card();
    let write = ConfigWrite::word(4, ON);
    check(&card, registers(OFF, 3), write, &[DecodeOn], NOTHING);
    check(&card, registers(ON, 3), write, &[DecodeKept], NOTHING);
}

#[test]
fn a_virtual_function_is_live_again_at_once() {
    let mut card = Image::card();
    card.is_virtual_function = true;
    let off = ConfigWrite::word(4, OFF);
    for before in [registers(ON, 0), registers(OFF, 0), registers(OFF, 2)] {
        check(&card, before, off, &[DecodeOff, DecodesAnyway], BOTH);
    }
    check(&card, registers(ON, 3), off, &[DecodeOff], REVOKED);
    let reset = ConfigWrite::word(0xa8, 0x8000);
    check(&card, registers(OFF, 0), reset, &[Flr], RESET);
}

#[test]
fn flr_needs_the_top_byte_and_the_capability() {
    let card = Image::card();
    let on = registers(ON, 0);
    for write in [
        ConfigWrite::word(0xa8, 0xa810),
        ConfigWrite::byte(0xa9, 0x80),
        ConfigWrite::dword(0xa8, 0x0000_8000),
        ConfigWrite::dword(0xa6, 0x8000_0000),
        ConfigWrite::word(0xa9, 0x0080),
        ConfigWrite::dword(0xa9, 0x0000_0080),
    ] {
        check(&card, on, write, &[Flr], RESET);
    }
    for write in [
        ConfigWrite::byte(0xa8, 0x80),
        ConfigWrite::word(0xa8, 0x7fff),
        ConfigWrite::word(0xaa, 0xffff),
        ConfigWrite::dword(0xa4, 0xffff_ffff),
    ] {
        check(&card, on, write, &[], NOTHING);
    }
    let without = Image::new().pcie(0xa0, 0).parse().unwrap();
    check(&without, on, ConfigWrite::word(0xa8, 0x8000), &[], NOTHING);
}

#[test]
fn flr_restores_only_with_decode_on() {
    let card = Image::card();
    let flr = ConfigWrite::word(0xa8, 0x8000);
    check(&card, registers(OFF, 0), flr, &[Flr], (true, false, true));
    // From D3hot it ends in D0.
    check(&card, registers(ON, 3), flr, &[Flr], RESET);
    assert_eq!(card.after(&registers(ON, 3), &flr), registers(ON, 0));
}

#[test]
fn af_flr_needs_its_byte_and_both_capabilities() {
    let card = Image::card();
    let on = registers(ON, 0);
    for write in [
        ConfigWrite::byte(0xe4, 1),
        ConfigWrite::word(0xe4, 0xff01),
        ConfigWrite::word(0xe3, 0x0100),
        ConfigWrite::dword(0xe4, 0xffff_ffff),
        ConfigWrite::dword(0xe2, 0x0001_0000),
    ] {
        check(&card, on, write, &[AfFlr], RESET);
    }
    for write in
        [ConfigWrite::byte(0xe4, 0xfe), ConfigWrite::byte(0xe5, 1), ConfigWrite::dword(0xe0, 0xffff_ffff)]
    {
        check(&card, on, write, &[], NOTHING);
    }
    for cap in [header::AF_CAP_FLR, header::AF_CAP_TP] {
        let without = Image::new().af(0xe0, cap).parse().unwrap();
        check(&without, on, ConfigWrite::byte(0xe4, 1), &[], NOTHING);
    }
}

#[test]
fn pmcsr_goes_by_its_first_byte() {
    let card = Image::card();
    let on = registers(ON, 0);
    for write in [
        ConfigWrite::byte(0x44, 3),
        ConfigWrite::word(0x44, 0x8003),
        ConfigWrite::dword(0x44, 3),
        ConfigWrite::word(0x43, 0x0300),
        ConfigWrite::dword(0x42, 0x0003_0000),
        ConfigWrite::byte(0x44, 0xff),
    ] {
        check(&card, on, write, &[D3Hot], REVOKED);
        assert_eq!(card.after(&on, &write).power_state(), 3);
    }
    for write in [ConfigWrite::byte(0x45, 3), ConfigWrite::word(0x46, 3), ConfigWrite::dword(0x40, u32::MAX)]
    {
        check(&card, on, write, &[], NOTHING);
    }
}

#[test]
fn d0_restores_if_decode_is_on() {
    let card = Image::card();
    let d0 = ConfigWrite::word(0x44, 0);
    check(&card, registers(ON, 3), d0, &[D0], RESTORED);
    check(&card, registers(OFF, 3), d0, &[D0], NOTHING);
    check(&card, registers(ON, 0), d0, &[D0], RESTORED);
}

#[test]
fn d0_resets_where_the_soft_reset_is_not_ruled_out() {
    let soft = Image::new().pm(0x40, 0).parse().unwrap();
    let d0 = ConfigWrite::word(0x44, 0);
    let expected = (false, true, true);
    check(&soft, registers(ON, 3), d0, &[D0, SoftReset], expected);
    for state in 0..3 {
        check(&soft, registers(ON, state), d0, &[D0], RESTORED);
    }
}

#[test]
fn d1_and_d2_leave_everything_as_it_is() {
    let card = Image::card();
    for (value, effect) in [(1, D1), (2, D2)] {
        let write = ConfigWrite::word(0x44, value);
        check(&card, registers(ON, 0), write, &[effect], RESTORED);
        check(&card, registers(OFF, 0), write, &[effect], NOTHING);
        // There is no way from D3hot to D1 or D2.
        check(&card, registers(ON, 3), write, &[effect], NOTHING);
        assert_eq!(card.after(&registers(ON, 3), &write), registers(ON, 3));
    }
}

#[test]
fn without_capabilities_their_places_are_plain() {
    let bare = Image::new().parse().unwrap();
    for offset in 0x40..=0x1000 {
        let write = ConfigWrite::dword(offset, u32::MAX);
        check(&bare, registers(ON, 0), write, &[], NOTHING);
    }
}

#[test]
fn bar_writes_name_their_bar() {
    let layout = Image::new().bar(0, 0x0c, 0x1000).bar(2, 0, 0x1000).parse().unwrap();
    let on = registers(ON, 0);
    let bar = |index| BarWrite { index };
    for (write, expected) in [
        (ConfigWrite::dword(0x10, u32::MAX), vec![bar(0)]),
        (ConfigWrite::dword(0x14, 0), vec![bar(0)]),
        (ConfigWrite::dword(0x18, 0), vec![bar(2)]),
        (ConfigWrite::dword(0x16, 0), vec![bar(0), bar(2)]),
        (ConfigWrite::byte(0x13, 0), vec![bar(0)]),
        (ConfigWrite::dword(0x1c, 0), vec![]),
        (ConfigWrite::dword(0x0d, 0), vec![bar(0)]),
        (ConfigWrite::dword(0x28, 0), vec![]),
        (ConfigWrite::dword(0x2e, 0), vec![RomWrite]),
        (ConfigWrite::byte(0x33, 0), vec![RomWrite]),
        (ConfigWrite::byte(0x34, 0), vec![]),
    ] {
        check(&layout, on, write, &expected, NOTHING);
    }
}

#[test]
fn interrupt_registers() {
    let card = Image::card();
    let on = registers(ON, 0);
    for (write, expected) in [
        (ConfigWrite::word(0x52, 1), vec![MsiControl]),
        (ConfigWrite::byte(0x52, 1), vec![MsiControl]),
        (ConfigWrite::byte(0x53, 1), vec![]),
        (ConfigWrite::dword(0x50, 0), vec![MsiControl]),
        (ConfigWrite::dword(0x54, 0), vec![MsiMessage]),
        (ConfigWrite::dword(0x58, 0), vec![MsiMessage]),
        (ConfigWrite::word(0x5c, 0), vec![MsiMessage]),
        (ConfigWrite::word(0x5e, 0), vec![]),
        (ConfigWrite::dword(0x60, 0), vec![MsiMask]),
        (ConfigWrite::dword(0x64, 0), vec![]),
        (ConfigWrite::dword(0x52, 0), vec![MsiControl, MsiMessage]),
        (ConfigWrite::word(0x72, 0x8000), vec![MsixControl]),
        (ConfigWrite::byte(0x72, 0), vec![]),
        (ConfigWrite::byte(0x73, 0x80), vec![MsixControl]),
        (ConfigWrite::dword(0x74, 0), vec![]),
    ] {
        check(&card, on, write, &expected, NOTHING);
    }
    let narrow = Image::new().msi(0x50, 0).parse().unwrap();
    let data = ConfigWrite::word(0x58, 0);
    check(&narrow, on, data, &[MsiMessage], NOTHING);
    let mask = ConfigWrite::dword(0x5c, 0);
    check(&narrow, on, mask, &[], NOTHING);
    let narrow = Image::new().msi(0x50, header::MSI_CONTROL_MASKABLE);
    let narrow = narrow.parse().unwrap();
    check(&narrow, on, mask, &[MsiMask], NOTHING);
}

#[test]
fn registers_follow_the_writes() {
    let card = Image::card();
    let mut now = registers(0, 0);
    for (write, expected) in [
        (ConfigWrite::word(4, 0x0406), registers(0x0406, 0)),
        (ConfigWrite::byte(5, 0), registers(0x0006, 0)),
        (ConfigWrite::word(0x44, 0xff02), registers(0x0006, 2)),
        (ConfigWrite::word(0x44, 1), registers(0x0006, 2)),
        (ConfigWrite::word(0x44, 3), registers(0x0006, 3)),
        (ConfigWrite::word(0x44, 0), registers(0x0006, 0)),
        (ConfigWrite::dword(3, 0x0012_3400), registers(0x1234, 0)),
    ] {
        now = card.after(&now, &write);
        assert_eq!(now, expected, "{write}");
    }
}

#[test]
fn a_write_has_one_two_or_four_bytes() {
    for length in 0..8 {
        let made = ConfigWrite::new(4, &[7; 8][..length]);
        let expected = matches!(length, 1 | 2 | 4);
        assert_eq!(made.is_some(), expected, "{length} bytes");
        assert!(made.is_none_or(|write| write.bytes.as_slice().len() == length));
    }
    assert_eq!(ConfigWrite::new(4, &[1, 2]), Some(ConfigWrite::word(4, 0x201)));
    let wrapping = ConfigWrite::dword(u16::MAX, 0);
    assert_eq!(wrapping.iter().collect::<Vec<_>>(), [(u16::MAX, 0)]);
}

#[test]
fn names_are_readable() {
    let card = Image::card();
    let write = ConfigWrite::word(4, OFF);
    assert_eq!(write.to_string(), "0x04 <- 04 00");
    let effects = card.classify(&registers(ON, 0), &write);
    assert_eq!(effects.to_string(), "decode-off");
    assert_eq!(effects.len(), 1);
    let nothing = card.classify(&registers(ON, 0), &ConfigWrite::word(0, 0));
    assert!(nothing.is_empty());
    assert_eq!(nothing.to_string(), "none");
    let write = ConfigWrite::dword(0x52, 0);
    let effects = card.classify(&registers(ON, 0), &write);
    assert_eq!(effects.to_string(), "msi-control, msi-message");
    assert_eq!(BarWrite { index: 2 }.to_string(), "bar-write(2)");
}
