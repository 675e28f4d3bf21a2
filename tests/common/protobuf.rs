//! Protobuf as its encoding is described (protobuf.dev/programming-guides/encoding), for messages whose fields
//! the caller knows. It shares nothing with what writes them.

/// A field's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, in the order in which they stand.
pub fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = match key & 7 {
            0 => Field::Number(varint(&mut bytes)),
            1 => Field::Number(u64::from_le_bytes(take(&mut bytes, 8).try_into().unwrap())),
            2 => {
                let length = varint(&mut bytes) as usize;
                Field::Bytes(take(&mut bytes, length))
            }
            other => panic!("no wire type {other} is expected here"),
        };
        fields.push((key >> 3, value));
    }
    fields
}

/// The number in a field, if it is there.
pub fn number(message: &[u8], field: u64) -> Option<u64> {
    fields(message).into_iter().rev().find_map(|(at, value)| match value {
        Field::Number(number) if at == field => Some(number),
        _ => None,
    })
}

/// All bytes of a field.
pub fn bytes(message: &[u8], field: u64) -> Vec<&[u8]> {
    let of_it = |(at, value)| match value {
        Field::Bytes(bytes) if at == field => Some(bytes),
        _ => None,
    };
    fields(message).into_iter().filter_map(of_it).collect()
}

/// All numbers of a field.
pub fn numbers(message: &[u8], field: u64) -> Vec<u64> {
    let of_it = |(at, value)| match value {
        Field::Number(number) if at == field => Some(number),
        _ => None,
    };
    fields(message).into_iter().filter_map(of_it).collect()
}

/// The text of a field, if it is there.
pub fn text(message: &[u8], field: u64) -> Option<String> {
    bytes(message, field).last().map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)[0];
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return number;
        }
    }
    panic!("a number of more than ten bytes");
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}
