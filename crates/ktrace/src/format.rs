//! What tracefs says of an event's bytes: its `format` file.

/// Where a field lies in an event's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub offset: usize,
    /// Bytes: 1, 2, 4 or 8.
    pub size: usize,
    pub signed: bool,
}

impl Field {
    /// Its value in these bytes, sign-extended to 64 bits; `None` where they end before it.
    pub fn of(self, payload: &[u8]) -> Option<u64> {
        let bytes = payload.get(self.offset..self.offset.checked_add(self.size)?)?;
        let mut all = [0; 8];
        all.get_mut(..self.size)?.copy_from_slice(bytes);
        let value = u64::from_le_bytes(all);
        let unused = 64 - 8 * self.size as u32;
        Some(if self.signed { ((value << unused).cast_signed() >> unused).cast_unsigned() } else { value })
    }
}

/// The event's number.
pub(crate) fn id(format: &str) -> Option<u16> {
    format.lines().find_map(|line| line.strip_prefix("ID:")?.trim().parse().ok())
}

/// A field by its name.
pub(crate) fn field(format: &str, name: &str) -> Option<Field> {
    // `	field:unsigned char revoked;	offset:16;	size:1;	signed:0;`
    format.lines().find_map(|line| {
        let mut parts = line.trim().strip_prefix("field:")?.split(';').map(str::trim);
        let declared = parts.next()?.rsplit([' ', '*']).next()?;
        if declared != name {
            return None;
        }
        let mut number = |key: &str| parts.next()?.strip_prefix(key)?.parse::<usize>().ok();
        let (offset, size) = (number("offset:")?, number("size:")?);
        let signed = number("signed:")? == 1;
        matches!(size, 1 | 2 | 4 | 8).then_some(Field { offset, size, signed })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: &str = "name: move\nID: 1093\nformat:\n\
        \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
        \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\
        \tfield:unsigned long __probe_ip;\toffset:8;\tsize:8;\tsigned:0;\n\
        \tfield:u8 revoked;\toffset:16;\tsize:1;\tsigned:0;\n\nprint fmt: \"(%lx)\", REC->__probe_ip\n";

    #[test]
    fn numbers_and_fields_are_found() {
        assert_eq!(id(FORMAT), Some(1093));
        assert_eq!(field(FORMAT, "revoked"), Some(Field { offset: 16, size: 1, signed: false }));
        assert_eq!(field(FORMAT, "common_pid"), Some(Field { offset: 4, size: 4, signed: true }));
        assert_eq!(field(FORMAT, "pid"), None);
        assert_eq!((id("x"), field("field:int x;", "x")), (None, None));
    }

    #[test]
    fn values_are_little_endian_and_end_with_the_bytes() {
        let field = Field { offset: 1, size: 4, signed: true };
        assert_eq!(field.of(&[0, 0xf0, 0xff, 0xff, 0xff]), Some((-16i64).cast_unsigned()));
        assert_eq!(Field { signed: false, ..field }.of(&[0, 0xf0, 0xff, 0xff, 0xff]), Some(0xffff_fff0));
        assert_eq!(field.of(&[0, 1, 2, 3]), None);
    }
}
