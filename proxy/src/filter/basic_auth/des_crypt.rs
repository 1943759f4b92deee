//! The oldest `crypt()`: DES twenty-five times over nothing, with the password's first eight letters for its key, and two
//! letters of salt that swap wires of it (FIPS 46-3; Morris and Thompson, 1979). A hash that a machine of today breaks in hours.

/// The hash of a password with the salt of another: two letters, and eleven more. None where that is none.
pub(super) fn des_crypt(password: &str, like: &str) -> Option<String> {
    let is_one = like.len() == LENGTH && like.bytes().all(|byte| LETTERS.contains(&byte));
    is_one.then(|| format!("{}{}", &like[..2], encoded(sum_of(password.as_bytes(), &like.as_bytes()[..2]))))
}

const LENGTH: usize = 13;
const LETTERS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

fn sum_of(password: &[u8], salt: &[u8]) -> u64 {
    let letters = password.iter().chain([0; 8].iter()).take(8);
    let keys = keys(letters.fold(0, |key, letter| key << 8 | u64::from(letter << 1)));
    let swapped = swapped(salt);
    let (mut left, mut right) = (0, 0);
    for _ in 0..25 {
        for key in keys {
            (left, right) = (right, left ^ mixed(right, key, swapped));
        }
        (left, right) = (right, left);
    }
    permuted(u64::from(left) << 32 | u64::from(right), 64, &LAST)
}

/// Sixteen of 48 bits each.
fn keys(key: u64) -> [u64; 16] {
    let both = permuted(key, 64, &KEY);
    let turned = |half: u64, by: u32| (half << by | half >> (28 - by)) & HALF;
    let (mut left, mut right) = (both >> 28, both & HALF);
    std::array::from_fn(|round| {
        let by = if matches!(round, 0 | 1 | 8 | 15) { 1 } else { 2 };
        (left, right) = (turned(left, by), turned(right, by));
        permuted(left << 28 | right, 56, &ROUND_KEY)
    })
}

const HALF: u64 = (1 << 28) - 1;

/// Of the 24 upper wires, those that change places with the lower ones: the salt's lowest bit is the first wire.
fn swapped(salt: &[u8]) -> u64 {
    let value = |letter: &u8| LETTERS.iter().position(|known| known == letter).unwrap_or_default() as u64;
    let bits = salt.iter().rev().fold(0, |bits, letter| bits << 6 | value(letter));
    (0..12).fold(0, |wires, bit| wires | (bits >> bit & 1) << (23 - bit))
}

fn mixed(half: u32, key: u64, swapped: u64) -> u32 {
    let wires = (0..8).fold(0, |wires, group: u32| {
        wires << 6 | u64::from(half.rotate_left((4 * group + 5) % 32) & 63)
    });
    let differing = (wires >> 24 ^ wires) & swapped;
    let wires = wires ^ differing ^ differing << 24 ^ key;
    let chosen = BOXES.iter().zip((0..8).rev()).fold(0, |chosen, (rows, group)| {
        let six = wires >> (6 * group) & 63;
        let (row, column) = (six >> 4 & 2 | six & 1, six >> 1 & 15);
        chosen << 4 | rows[row as usize] >> (60 - 4 * column) & 15
    });
    permuted(chosen, 32, &MIX) as u32
}

/// The bits of so many that a table names, from 1 for the highest on.
fn permuted(bits: u64, count: u32, table: &[u8]) -> u64 {
    table.iter().fold(0, |made, bit| made << 1 | bits >> (count - u32::from(*bit)) & 1)
}

/// Eleven letters of six bits, the highest first; two bits of the last are none.
fn encoded(sum: u64) -> String {
    let bits = u128::from(sum) << 2;
    (0..11).rev().map(|at| char::from(LETTERS[(bits >> (6 * at) & 63) as usize])).collect()
}

const KEY: [u8; 56] = [
    57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36, 63, 55,
    47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4,
];
const ROUND_KEY: [u8; 48] = [
    14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2, 41, 52, 31, 37, 47, 55, 30,
    40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
];
const MIX: [u8; 32] = [
    16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25,
];
const LAST: [u8; 64] = [
    40, 8, 48, 16, 56, 24, 64, 32, 39, 7, 47, 15, 55, 23, 63, 31, 38, 6, 46, 14, 54, 22, 62, 30, 37, 5, 45, 13, 53, 21,
    61, 29, 36, 4, 44, 12, 52, 20, 60, 28, 35, 3, 43, 11, 51, 19, 59, 27, 34, 2, 42, 10, 50, 18, 58, 26, 33, 1, 41, 9,
    49, 17, 57, 25,
];
/// Four rows each, of sixteen digits.
const BOXES: [[u64; 4]; 8] = [
    [0xE4D1_2FB8_3A6C_5907, 0x0F74_E2D1_A6CB_9538, 0x41E8_D62B_FC97_3A50, 0xFC82_4917_5B3E_A06D],
    [0xF18E_6B34_972D_C05A, 0x3D47_F28E_C01A_69B5, 0x0E7B_A4D1_58C6_932F, 0xD8A1_3F42_B67C_05E9],
    [0xA09E_63F5_1DC7_B428, 0xD709_346A_285E_CBF1, 0xD649_8F30_B12C_5AE7, 0x1AD0_6987_4FE3_B52C],
    [0x7DE3_069A_1285_BC4F, 0xD8B5_6F03_472C_1AE9, 0xA690_CB7D_F13E_5284, 0x3F06_A1D8_945B_C72E],
    [0x2C41_7AB6_853F_D0E9, 0xEB2C_47D1_50FA_3986, 0x421B_AD78_F9C5_630E, 0xB8C7_1E2D_6F09_A453],
    [0xC1AF_9268_0D34_E75B, 0xAF42_7C95_61DE_0B38, 0x9EF5_28C3_704A_1DB6, 0x432C_95FA_BE17_608D],
    [0x4B2E_F08D_3C97_5A61, 0xD0B7_491A_E35C_2F86, 0x14BD_C37E_AF68_0592, 0x6BD8_14A7_950F_E23C],
    [0xD284_6FB1_A93E_50C7, 0x1FD8_A374_C56B_0E92, 0x7B41_9CE2_06AD_F358, 0x21E7_4A8D_FC90_356B],
];
