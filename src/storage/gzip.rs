//! Gzipped files: read to the end of what was written whole.

use std::io::{ErrorKind, Read};

use flate2::bufread::GzDecoder;

use super::read::ReadError;

const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// What a gzipped file holds.
pub(super) struct Unpacked {
    /// The plain bytes.
    pub(super) bytes: Vec<u8>,
    /// Whether the last member was cut off.
    pub(super) torn: bool,
}

/// Whether these bytes begin as gzip does.
pub(super) fn is_gzipped(data: &[u8]) -> bool {
    data.starts_with(&MAGIC)
}

/// Unpacks a gzipped file.
///
/// Each append is a member (RFC 1952, section 2.2) of its own, and counts when it is whole: the checksum at its end is
/// the last that is written of it. A member that is cut off is left out, unless it is the first: then there is nothing
/// else, and its lines count as far as they go. A crash of the system may leave zeros in place of what was to come.
pub(super) fn unpack(data: &[u8]) -> Result<Unpacked, ReadError> {
    let mut bytes = Vec::new();
    let mut rest = data;
    let mut members = 0_usize;
    while !rest.is_empty() {
        if members > 0 && rest.iter().all(|byte| *byte == 0) {
            return Ok(Unpacked { bytes, torn: true });
        }
        if !MAGIC.starts_with(&rest[..rest.len().min(MAGIC.len())]) {
            return Err(ReadError::BadGzip);
        }
        let whole = bytes.len();
        let mut member = GzDecoder::new(rest);
        match member.read_to_end(&mut bytes) {
            Ok(_) => rest = member.into_inner(),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                if members > 0 {
                    bytes.truncate(whole);
                }
                return Ok(Unpacked { bytes, torn: true });
            }
            Err(_) => return Err(ReadError::BadGzip),
        }
        members += 1;
    }
    Ok(Unpacked { bytes, torn: false })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut member = GzEncoder::new(Vec::new(), Compression::fast());
        member.write_all(text).unwrap();
        member.finish().unwrap()
    }

    #[test]
    fn a_member_that_is_cut_anywhere_is_left_out() {
        let first = packed(b"first\n");
        for second in [packed(b"second\n"), packed(b""), packed(&[b'x'; 100_000])] {
            for cut in 1..second.len() {
                let file = [&*first, &second[..cut]].concat();
                let unpacked = unpack(&file).unwrap();
                assert_eq!((&*unpacked.bytes, unpacked.torn), (&b"first\n"[..], true), "cut at {cut}");
            }
        }
    }

    #[test]
    fn the_first_member_gives_what_it_has() {
        let text: Vec<u8> =
            (0..50_000_u32).flat_map(|n| format!("{}\n", n.wrapping_mul(2_654_435_761)).into_bytes()).collect();
        let file = packed(&text);
        for cut in (0..file.len()).step_by(997).skip(1) {
            let unpacked = unpack(&file[..cut]).unwrap();
            assert!(unpacked.torn && text.starts_with(&unpacked.bytes), "cut at {cut}");
        }
        let unpacked = unpack(&file).unwrap();
        assert!(!unpacked.torn && unpacked.bytes == text);
    }

    #[test]
    fn zeros_are_a_tear_and_other_bytes_are_damage() {
        let first = packed(b"first\n");
        assert!(unpack(&[&*first, &[0; 40]].concat()).unwrap().torn);
        for garbage in [&b"garbage that is no gzip"[..], b"short", b"\x1f\x00", b"\0\0\x01"] {
            assert!(unpack(&[&*first, garbage].concat()).is_err(), "{garbage:?}");
        }
        let mut flipped = [&*first, &*packed(b"second\n")].concat();
        let last = flipped.len() - 6;
        flipped[last] ^= 1;
        assert!(unpack(&flipped).is_err());
        assert!(!unpack(&[first, packed(b"second\n")].concat()).unwrap().torn);
    }
}
