//! MD5 made slow, as `crypt()` of FreeBSD and Apache's htpasswd do: Poul-Henning Kamp's algorithm of 1994.

use md5::{Digest, Md5};

/// The hash of a password by the kind and the salt of another: `$1$SALT$…` or `$apr1$SALT$…`. None where that is none.
pub(super) fn md5_crypt(password: &str, like: &str) -> Option<String> {
    let (magic, rest) = ["$1$", "$apr1$"]
        .iter()
        .find_map(|magic| Some((*magic, like.strip_prefix(magic)?)))?;
    let (salt, sum) = rest.split_once('$')?;
    if salt.len() > LONGEST_SALT || sum.len() != SUM_LETTERS {
        return None;
    }
    let sum = encoded(&sum_of(password.as_bytes(), magic.as_bytes(), salt.as_bytes()));
    Some(format!("{magic}{salt}${sum}"))
}

const LONGEST_SALT: usize = 8;
const SUM_LETTERS: usize = 22;
const ROUNDS: usize = 1000;

fn sum_of(password: &[u8], magic: &[u8], salt: &[u8]) -> [u8; 16] {
    let inner = Md5::new().chain_update(password).chain_update(salt).chain_update(password).finalize();
    let mut outer = Md5::new().chain_update(password).chain_update(magic).chain_update(salt);
    for at in (0..password.len()).step_by(inner.len()) {
        outer.update(&inner[..inner.len().min(password.len() - at)]);
    }
    let mut bits = password.len();
    while bits > 0 {
        outer.update(match bits & 1 {
            1 => &b"\0"[..],
            _ => &password[..1],
        });
        bits >>= 1;
    }
    let mut sum: [u8; 16] = outer.finalize().into();
    for round in 0..ROUNDS {
        let (first, last): (&[u8], &[u8]) = if round % 2 == 1 { (password, &sum) } else { (&sum, password) };
        let mut next = Md5::new().chain_update(first);
        if round % 3 != 0 {
            next.update(salt);
        }
        if round % 7 != 0 {
            next.update(password);
        }
        sum = next.chain_update(last).finalize().into();
    }
    sum
}

/// Four letters for three bytes, of an order of its own.
fn encoded(sum: &[u8; 16]) -> String {
    const LETTERS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const ORDER: [[usize; 3]; 5] = [[0, 6, 12], [1, 7, 13], [2, 8, 14], [3, 9, 15], [4, 10, 5]];
    let mut text = String::with_capacity(SUM_LETTERS);
    let mut push = |mut word: u32, letters: usize| {
        for _ in 0..letters {
            text.push(char::from(LETTERS[(word & 63) as usize]));
            word >>= 6;
        }
    };
    for [high, middle, low] in ORDER {
        let byte = |at: usize| u32::from(sum[at]);
        push(byte(high) << 16 | byte(middle) << 8 | byte(low), 4);
    }
    push(sum[11].into(), 2);
    text
}
