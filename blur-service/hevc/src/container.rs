//! A file of one item, as libheif wants it: every box of it is written here, so that of a stranger's file only the coded
//! picture and its configuration come before libheif (ISO/IEC 14496-12, 8.11; 23008-12).

use crate::boxes::{BOX_HEAD, boxed, full};
use crate::{Coded, Sampling};

impl Coded<'_> {
    /// As the configuration has it (ISO/IEC 14496-15, 8.3.3.1).
    pub fn sampling(&self) -> Option<Sampling> {
        Sampling::read(self.configuration.get(16)? & 3)
    }

    /// Nothing if it is too large to be told of.
    pub fn file(&self) -> Option<Vec<u8>> {
        let kind = boxed(b"ftyp", &[b"heic\0\0\0\0heicmif1"]);
        let length = u32::try_from(self.data.len()).ok()?;
        // As long wherever the data lie.
        let data_at = kind.len() + self.meta(0, length).len() + BOX_HEAD;
        let meta = self.meta(u32::try_from(data_at).ok()?, length);
        length.checked_add(u32::try_from(data_at).ok()?)?;
        Some([kind, meta, boxed(b"mdat", &[self.data])].concat())
    }

    fn meta(&self, at: u32, length: u32) -> Vec<u8> {
        let item = full(b"infe", 2, &[b"\0\x01\0\0hvc1\0"]);
        let place = [
            &b"\x44\0\0\x01\0\x01\0\0\0\x01"[..],
            &at.to_be_bytes(),
            &length.to_be_bytes(),
        ]
        .concat();
        let size = [self.width.to_be_bytes(), self.height.to_be_bytes()].concat();
        // As if the planes were red, green and blue already: libheif 1.15 makes such of all others, and hands these over as they are.
        let plain = boxed(b"colr", &[b"nclx\0\x02\0\x02\0\0\x80"]);
        let properties = [full(b"ispe", 0, &[&size]), boxed(b"hvcC", &[self.configuration]), plain].concat();
        // All are the item's, and the second one is needed to show it.
        let belong = full(b"ipma", 0, &[b"\0\0\0\x01\0\x01\x03\x01\x82\x03"]);
        full(
            b"meta",
            0,
            &[
                &full(b"hdlr", 0, &[&[0; 4], b"pict", &[0; 13]]),
                &full(b"pitm", 0, &[b"\0\x01"]),
                &full(b"iloc", 0, &[&place]),
                &full(b"iinf", 0, &[b"\0\x01", &item]),
                &boxed(b"iprp", &[&boxed(b"ipco", &[&properties]), &belong]),
            ],
        )
    }
}
