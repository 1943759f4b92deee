//! A picture of equal tiles in boxes (AVIF, HEIC): all are the same coded data, which a file need have only once.

use blur_service::codec::Items;
use hevc_still::boxes::{BOX_HEAD, boxed, full};

/// The picture of `file` so many times across and down.
pub fn repeated(file: &[u8], across: u8) -> Option<Vec<u8>> {
    let items = Items::of(file)?;
    let (data, kind) = (items.data(items.primary)?, items.kind(items.primary)?);
    let coder = if kind == *b"av01" { b"av1C" } else { b"hvcC" };
    let told = |kind| items.properties(items.primary, kind).next();
    let (tile, coder) = (told(b"ispe")?, boxed(coder, &[told(coder)?]));
    let side = |at: usize| Some(u32::from_be_bytes(*tile.get(at..)?.first_chunk()?) * u32::from(across));
    let whole = [side(4)?.to_be_bytes(), side(8)?.to_be_bytes()].concat();
    let layout = [&[0, 1, across - 1, across - 1], &whole[..]].concat();
    let head = boxed(
        b"ftyp",
        &[if kind == *b"av01" {
            b"avif\0\0\0\0avifmif1"
        } else {
            b"heic\0\0\0\0heicmif1"
        }],
    );
    let properties = boxed(
        b"ipco",
        &[&boxed(b"ispe", &[tile]), &coder, &full(b"ispe", 0, &[&whole])],
    );
    let meta = |at: usize| {
        meta(
            &kind,
            u16::from(across).pow(2),
            &properties,
            (at, data.len(), layout.len()),
        )
    };
    let at = head.len() + meta(0).len() + BOX_HEAD;
    Some([head, meta(at), boxed(b"mdat", &[&data, &layout])].concat())
}

/// `count` tiles whose coded data are at one place, and behind them the item that says how they lie.
fn meta(kind: &[u8; 4], count: u16, properties: &[u8], (at, coded, layout): (usize, usize, usize)) -> Vec<u8> {
    let whole = (count + 1).to_be_bytes();
    let each =
        |of: &dyn Fn([u8; 2]) -> Vec<u8>| (1..=count).flat_map(|tile| of(tile.to_be_bytes())).collect::<Vec<u8>>();
    let number = |number: usize| (number as u32).to_be_bytes();
    let place = |item: [u8; 2], at, length| [&item[..], &[0, 0, 0, 1], &number(at), &number(length)].concat();
    let named = |item: [u8; 2], kind| full(b"infe", 2, &[&item, &[0, 0], kind, &[0]]);
    let belongs = |item: [u8; 2], properties: &[u8]| [&item[..], &[properties.len() as u8], properties].concat();
    let places = [each(&|tile| place(tile, at, coded)), place(whole, at + coded, layout)].concat();
    let names = [each(&|tile| named(tile, kind)), named(whole, b"grid")].concat();
    let belong = [each(&|tile| belongs(tile, &[1, 0x82])), belongs(whole, &[3])].concat();
    let made_of = boxed(b"dimg", &[&whole, &count.to_be_bytes(), &each(&|tile| tile.to_vec())]);
    full(
        b"meta",
        0,
        &[
            &full(b"pitm", 0, &[&whole]),
            &full(b"iloc", 0, &[&[0x44, 0], &whole, &places]),
            &full(b"iinf", 0, &[&whole, &names]),
            &full(b"iref", 0, &[&made_of]),
            &boxed(b"iprp", &[properties, &full(b"ipma", 0, &[&[0, 0], &whole, &belong])]),
        ],
    )
}
