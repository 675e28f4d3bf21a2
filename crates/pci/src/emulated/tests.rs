use super::*;

#[test]
fn a_guest_finds_a_host_bridge() {
    let bridge = HostBridge::new(0x8086, 0x2030);
    assert_eq!(bridge.read(header::VENDOR, 4), 0x2030_8086);
    assert_eq!(bridge.read(header::VENDOR, 2), 0x8086);
    assert_eq!(bridge.read(header::DEVICE + 1, 1), 0x20);
    assert_eq!(bridge.read(header::REVISION, 4) >> 8, HOST_BRIDGE_CLASS);
    assert_eq!(bridge.read(0x0a, 2), 0x0600);
    assert_eq!(bridge.read(header::HEADER_TYPE, 1), 0);
    assert_eq!(bridge.read(header::STATUS, 2), 0);
    assert_eq!(bridge.read(header::CAPABILITIES_POINTER, 1), 0);
}

#[test]
fn registers_that_do_not_exist_read_zero() {
    let bridge = HostBridge::default();
    for offset in (header::HEADER_SIZE..header::EXTENDED_CONFIG_SIZE).step_by(4) {
        assert_eq!(bridge.read(offset, 4), 0);
    }
}

#[test]
fn unsound_accesses_read_ones_and_write_nothing() {
    let mut bridge = HostBridge::default();
    let before = bridge.clone();
    for (offset, width, ones) in [
        (1, 2, 0xffff),
        (2, 4, u32::MAX),
        (0, 3, u32::MAX),
        (0, 0, u32::MAX),
        (4, 8, u32::MAX),
        (0x1000, 4, u32::MAX),
        (u16::MAX, 1, 0xff),
    ] {
        assert_eq!(bridge.read(offset, width), ones, "{offset:#x}, {width}");
        bridge.write(offset, width, u32::MAX);
    }
    bridge.write(3, 2, u32::MAX);
    assert_eq!(bridge, before);
}

#[test]
fn sizing_finds_no_bars() {
    let mut bridge = HostBridge::default();
    for offset in (header::BAR0..header::ROM_END).step_by(4) {
        bridge.write(offset, 4, u32::MAX);
        assert_eq!(bridge.read(offset, 4), 0);
    }
}

#[test]
fn only_some_bits_can_be_written() {
    let mut bridge = HostBridge::default();
    for offset in (0..header::HEADER_SIZE).step_by(4) {
        bridge.write(offset, 4, u32::MAX);
    }
    let mut expected = HostBridge::default();
    expected.put(header::COMMAND, [7]);
    expected.put(header::CACHE_LINE_SIZE, [0xff]);
    expected.put(header::INTERRUPT_LINE, [0xff]);
    assert_eq!(bridge, expected);

    bridge.write(header::COMMAND, 2, 0);
    assert_eq!(bridge.read(header::COMMAND, 2), 0);
    bridge.write(header::INTERRUPT_LINE, 1, 0xffff_ff0b);
    assert_eq!(bridge.read(header::INTERRUPT_LINE, 2), 0x000b);
}
