//! Fingerprints: what stands for a state in the set of those seen.
//!
//! 128 bits of SipHash with fixed keys. Among ten million states the chance that any two collide
//! is below 2⁻⁸¹; a collision would make the exploration miss a state, never report one that is
//! not there. Times, counters and numbers of descriptors are in no state, so they are in no
//! fingerprint.

use barkeep_model::kernel::Exchange;
use siphasher::sip128::SipHasher13;
use smallvec::SmallVec;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// A fingerprint.
pub(crate) type Print = u128;

/// Something that is printed as it is, and as it were with the devices exchanged.
pub(crate) trait Printed {
    /// Puts it into the hasher; with `by`, what it would be after the exchange.
    fn print(&self, by: Option<&Exchange>, hasher: &mut Printer);
}

/// A value that does not change any more, with both its fingerprints.
#[derive(Debug)]
pub(crate) struct Node<T> {
    pub(crate) value: T,
    /// As it is, and exchanged. The same where nothing is ever exchanged.
    pub(crate) prints: [Print; 2],
}

impl<T: Printed> Node<T> {
    pub(crate) fn new(value: T, by: Option<&Exchange>) -> Self {
        let plain = Self::plain(&value);
        Self::printed(value, plain, by)
    }

    /// The fingerprint of a value as it is.
    pub(crate) fn plain(value: &T) -> Print {
        let mut printer = Printer::new(None);
        value.print(None, &mut printer);
        printer.print()
    }

    /// A node of a value whose first fingerprint is known.
    pub(crate) fn printed(value: T, plain: Print, by: Option<&Exchange>) -> Self {
        let other = by.map_or(plain, |by| {
            let mut printer = Printer::new(Some(by));
            value.print(Some(by), &mut printer);
            printer.print()
        });
        Self { value, prints: [plain, other] }
    }
}

/// A hasher that sees addresses as they are after an exchange.
///
/// The keeper's insides are its own: they can be hashed, not rewritten. All 64-bit numbers in it
/// are addresses and sizes, and no size is an address, so an address is exchanged on its way into
/// the hash; so are the four bytes that a config write gives a BAR register.
///
/// Bytes are collected and hashed at once, which is several times faster than one by one.
pub(crate) struct Printer<'a> {
    bytes: SmallVec<[u8; 1024]>,
    by: Option<&'a Exchange>,
}

impl<'a> Printer<'a> {
    pub(crate) fn new(by: Option<&'a Exchange>) -> Self {
        Self { bytes: SmallVec::new(), by }
    }

    pub(crate) fn print(&self) -> Print {
        SipHasher13::new_with_keys(0x6b65_6570, 0x6261_726b).hash(&self.bytes).as_u128()
    }
}

impl Hasher for Printer<'_> {
    /// Nobody asks for 64 bits.
    fn finish(&self) -> u64 {
        self.print() as u64
    }

    fn write(&mut self, bytes: &[u8]) {
        if let (Ok(four), Some(by)) = (<[u8; 4]>::try_from(bytes), self.by) {
            self.bytes.extend_from_slice(&by.register(u32::from_le_bytes(four)).to_le_bytes());
            return;
        }
        self.bytes.extend_from_slice(bytes);
    }

    fn write_u8(&mut self, number: u8) {
        self.bytes.push(number);
    }

    fn write_u16(&mut self, number: u16) {
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    fn write_u32(&mut self, number: u32) {
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    fn write_u64(&mut self, number: u64) {
        let number = self.by.map_or(number, |by| by.address(number));
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    fn write_u128(&mut self, number: u128) {
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    /// Numbers of objects and lengths: all small.
    fn write_usize(&mut self, number: usize) {
        self.write_u16(number as u16);
    }

    /// Which variant: few.
    fn write_isize(&mut self, number: isize) {
        self.write_u8(number as u8);
    }
}

/// One fingerprint of several.
pub(crate) fn join(prints: &[Print]) -> Print {
    let mut printer = Printer::new(None);
    for print in prints {
        printer.write_u128(*print);
    }
    printer.print()
}

/// What has no number of its own to be exchanged.
pub(crate) fn hash(value: &impl Hash, printer: &mut Printer) {
    value.hash(printer);
}

/// A fingerprint is a hash already.
#[derive(Default)]
pub(crate) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0 << 8 | u64::from(*byte);
        }
    }

    fn write_u128(&mut self, print: u128) {
        self.0 = print as u64;
    }
}

pub(crate) type AsIs = BuildHasherDefault<AsItIs>;
