//! Session tickets: what TLS clients resume with (RFC 5077; RFC 8446, section 4.6.1). No memory of ours is needed for them,
//! however many clients there are. The keys are one set for the whole process, so that a reload forgets no session; they
//! change every six hours, never touch a disk, and go to a successor with the sockets.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::error::Unspecified;
use ring::rand::{SecureRandom, SystemRandom};
use rustls::server::ProducesTickets;
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// Those of this process.
pub fn tickets() -> Arc<Tickets> {
    static TICKETS: LazyLock<Arc<Tickets>> = LazyLock::new(Arc::default);
    Arc::clone(&TICKETS)
}

#[derive(Default)]
pub struct Tickets {
    /// The newest first. Written to every six hours.
    keys: RwLock<Vec<Key>>,
}

/// A key as a successor gets it.
#[derive(Clone, Deserialize, Serialize)]
pub struct TicketKey {
    name: [u8; NAME],
    secret: Secret,
    /// How long it has been in use.
    age_seconds: u64,
}

#[derive(Clone, Deserialize, Serialize)]
struct Secret([u8; SECRET]);

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

struct Key {
    key: TicketKey,
    made: Instant,
}

impl Tickets {
    /// Takes on a predecessor's keys.
    pub fn inherit(&self, keys: Vec<TicketKey>) {
        let now = Instant::now();
        let inherited = keys.into_iter().filter_map(|key| {
            let made = now.checked_sub(Duration::from_secs(key.age_seconds))?;
            Some(Key { key, made })
        });
        *self.keys.write() = inherited.collect();
    }

    /// The keys for a successor.
    pub fn keys(&self) -> Vec<TicketKey> {
        let with_age = |key: &Key| TicketKey {
            age_seconds: key.made.elapsed().as_secs(),
            ..key.key.clone()
        };
        self.keys.read().iter().map(with_age).collect()
    }

    /// For listeners that let in the same clients: a session is resumed without a certificate, so that it is good nowhere else,
    /// nor here once others are let in. Nobody is asked who he is where `admitted` is empty.
    pub fn among(self: Arc<Self>, admitted: Vec<u8>) -> Arc<dyn ProducesTickets> {
        Arc::new(Among {
            tickets: self,
            admitted,
        })
    }

    fn seal(&self, session: &[u8], admitted: &[u8]) -> Result<Vec<u8>, Unspecified> {
        if self.keys.read().first().is_none_or(Key::is_old) {
            self.change_keys()?;
        }
        let keys = self.keys.read();
        keys.first().ok_or(Unspecified)?.seal(session, admitted)
    }

    fn open(&self, ticket: &[u8], admitted: &[u8]) -> Option<Vec<u8>> {
        let (name, sealed) = ticket.split_at_checked(NAME)?;
        let keys = self.keys.read();
        keys.iter().find(|key| key.key.name == name)?.open(sealed, admitted)
    }

    fn change_keys(&self) -> Result<(), Unspecified> {
        let mut keys = self.keys.write();
        if keys.first().is_none_or(Key::is_old) {
            keys.insert(0, Key::new()?);
            keys.truncate(KEPT);
        }
        Ok(())
    }
}

impl Key {
    fn new() -> Result<Self, Unspecified> {
        let mut key = TicketKey {
            name: [0; NAME],
            secret: Secret([0; SECRET]),
            age_seconds: 0,
        };
        let random = SystemRandom::new();
        random.fill(&mut key.name)?;
        random.fill(&mut key.secret.0)?;
        Ok(Self {
            key,
            made: Instant::now(),
        })
    }

    fn is_old(&self) -> bool {
        self.made.elapsed() > LIFETIME
    }

    fn cipher(&self) -> Result<LessSafeKey, Unspecified> {
        UnboundKey::new(&CHACHA20_POLY1305, &self.key.secret.0).map(LessSafeKey::new)
    }

    /// The key's name, a nonce, and the session, sealed together with the name and with who is let in.
    fn seal(&self, session: &[u8], admitted: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce)?;
        let mut sealed = session.to_vec();
        self.cipher()?.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            self.label(admitted),
            &mut sealed,
        )?;
        Ok([&self.key.name[..], &nonce, &sealed].concat())
    }

    /// What follows the name.
    fn open(&self, sealed: &[u8], admitted: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_first_chunk()?;
        let mut session = sealed.to_vec();
        let opened =
            self.cipher()
                .ok()?
                .open_in_place(Nonce::assume_unique_for_key(*nonce), self.label(admitted), &mut session);
        let length = opened.ok()?.len();
        session.truncate(length);
        Some(session)
    }

    fn label(&self, admitted: &[u8]) -> Aad<Vec<u8>> {
        Aad::from([&self.key.name[..], admitted].concat())
    }
}

struct Among {
    tickets: Arc<Tickets>,
    /// Says who is let in.
    admitted: Vec<u8>,
}

impl ProducesTickets for Among {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME.as_secs() as u32
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.tickets.seal(plain, &self.admitted).ok()
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.tickets.open(cipher, &self.admitted)
    }
}

impl fmt::Debug for Among {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets")
    }
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKey")
    }
}

/// For so long a key seals tickets, and for as long again it opens them.
const LIFETIME: Duration = Duration::from_secs(6 * 3600);
/// The one that seals, and the one before.
const KEPT: usize = 2;
const NAME: usize = 16;
const SECRET: usize = 32;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ALL: &[u8] = b"";

    #[test]
    fn a_successor_opens_what_its_predecessor_sealed() {
        let (old, new) = (Tickets::default(), Tickets::default());
        let ticket = old.seal(b"session", ALL).unwrap();
        assert_eq!(new.open(&ticket, ALL), None);
        let letter = serde_json::to_vec(&old.keys()).unwrap();
        new.inherit(serde_json::from_slice(&letter).unwrap());
        assert_eq!(new.open(&ticket, ALL).as_deref(), Some(&b"session"[..]));
        let ticket = new.seal(b"another", ALL).unwrap();
        assert_eq!(old.open(&ticket, ALL).as_deref(), Some(&b"another"[..]));
    }

    #[test]
    fn a_key_opens_for_as_long_again_as_it_seals() {
        let tickets = Tickets::default();
        let ticket = tickets.seal(b"session", ALL).unwrap();
        for opens in [true, false] {
            let aged = tickets.keys().into_iter().map(|mut key| {
                key.age_seconds += LIFETIME.as_secs() + 1;
                key
            });
            tickets.inherit(aged.collect());
            tickets.seal(b"another", ALL).unwrap();
            assert_eq!(tickets.open(&ticket, ALL).is_some(), opens);
        }
    }

    #[test]
    fn a_ticket_is_good_where_the_same_clients_are_let_in() {
        let tickets: Arc<Tickets> = Arc::default();
        let among = |admitted: &[u8]| Arc::clone(&tickets).among(admitted.to_vec());
        let kinds: [&[u8]; 4] = [b"", b"required one", b"required two", b"optional one"];
        for sealer in kinds {
            let ticket = among(sealer).encrypt(b"session").unwrap();
            for opener in kinds {
                assert_eq!(among(opener).decrypt(&ticket).is_some(), opener == sealer);
            }
        }
    }

    #[test]
    fn no_ticket_that_was_touched_is_opened() {
        let tickets = Tickets::default();
        let ticket = tickets.seal(b"session", ALL).unwrap();
        for place in 0..ticket.len() {
            let mut touched = ticket.clone();
            touched[place] ^= 1;
            assert_eq!(tickets.open(&touched, ALL), None, "{place}");
            assert_eq!(tickets.open(&ticket[..place], ALL), None, "{place}");
        }
    }
}
