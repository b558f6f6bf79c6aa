//! A reader of vaults, written from docs/format.md alone: it shares nothing with the library but the ciphers and redb.

use std::collections::BTreeMap;

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::{
    KeyInit, Tag, XChaCha20Poly1305, XNonce,
    aead::{AeadInOut, inout::InOutBuf},
};
use redb::{Builder, ReadableDatabase, StorageBackend, TableDefinition, backends::InMemoryBackend};

/// What opens a vault.
pub(crate) struct Secrets<'s> {
    pub(crate) passphrase: Option<&'s str>,
    pub(crate) key_file: Option<&'s str>,
}

/// The rows of the one table, as they are.
pub(crate) struct Contents {
    pub(crate) rows: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(crate) logical: Vec<u8>,
}

/// A token row at some time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TokenRow {
    pub(crate) source: u32,
    pub(crate) key: u64,
    pub(crate) since: i64,
    pub(crate) until: Option<i64>,
    pub(crate) instance: String,
    pub(crate) access_token: String,
    pub(crate) refresh: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) scopes: Option<String>,
    pub(crate) times: [Option<i64>; 3],
    pub(crate) app: Option<u64>,
    pub(crate) account: Option<u64>,
}

/// An app row at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct App {
    pub(crate) key: u64,
    pub(crate) name: Option<String>,
    pub(crate) client_id: Option<String>,
    pub(crate) client_secret: Option<String>,
    pub(crate) redirect_uris: String,
}

/// An account row at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) key: u64,
    pub(crate) instance: String,
    pub(crate) username: Option<String>,
}

pub(crate) fn read(file: &[u8], secrets: &Secrets<'_>) -> Contents {
    let header = header(file);
    let vault_id = &header[16..32];
    let master = (0..8u8)
        .find_map(|number| unwrap_slot(header, number, secrets))
        .expect("a slot opens");
    let derived = |context: &str| blake3::derive_key(context, &master);
    let mac = blake3::keyed_hash(&derived("tuskvault 2026-11 header v1"), &header[..4032]);
    assert_eq!(mac.as_bytes(), &header[4032..4064], "the header's MAC");
    let pages = Pages {
        file,
        vault_id,
        cipher: cipher(&derived("tuskvault 2026-11 pages v1")),
    };
    let superblock = [2, 3]
        .into_iter()
        .filter_map(|unit| pages.superblock(unit))
        .max_by_key(|body| u64_at(body, 0))
        .expect("a superblock opens");
    let mut logical = vec![0; usize::try_from(u64_at(&superblock, 8)).unwrap()];
    let blocks = u64_at(&superblock, 16);
    logical[..320].copy_from_slice(&superblock[24..344]);
    let places = places(&superblock[344..1368]);
    for mid in 0..65 {
        let Some((copy, seal)) = child(&superblock[1368..], mid) else {
            continue;
        };
        let mid_at = 4 + mid * 10_298;
        let leaves = pages.open(mid_at + u64::from(copy), seal, 2, mid);
        for place in 0..99 {
            let Some((copy, seal)) = child(&leaves, place) else {
                continue;
            };
            let leaf = mid * 99 + place;
            let leaf_at = mid_at + 2 + place * 104;
            let seals = pages.open(leaf_at + u64::from(copy), seal, 3, leaf);
            for (within, seal) in (0..102).zip(seals.chunks_exact(40)) {
                let block = leaf * 102 + within;
                if seal.iter().any(|byte| *byte != 0) && block < blocks {
                    let page = pages.open(leaf_at + 2 + within, seal, 4, block);
                    let Some(page_number) = places.get(&block) else {
                        continue;
                    };
                    let at = usize::try_from((page_number + 1) * 4096).unwrap();
                    if let Some(place) = logical.get_mut(at..at + 4096) {
                        place.copy_from_slice(&page);
                    }
                }
            }
        }
    }
    let rows = rows(&logical);
    Contents { rows, logical }
}

/// Which of redb's pages stands in which block.
fn places(order: &[u8]) -> BTreeMap<u64, u64> {
    let mut places = BTreeMap::new();
    let entries = order
        .chunks(2)
        .map(|entry| u16::from_le_bytes([entry[0], entry[1]]));
    for stretch in entries
        .take_while(|entry| *entry > 0)
        .map(|entry| u64::from(entry) - 1)
    {
        let (first, count) = if stretch < 32 {
            (stretch, 1)
        } else {
            let count = 1 << (stretch / 32 - 1);
            ((32 + stretch % 32) * count, count)
        };
        for page in first..first + count {
            places.insert(places.len() as u64, page);
        }
    }
    places
}

fn header(file: &[u8]) -> &[u8] {
    let copies = file[..2 * 4096].chunks(4096);
    copies
        .filter(|copy| {
            copy.starts_with(b"TUSKVLT\0")
                && u32_at(copy, 8) == 1
                && u32_at(copy, 12) == 1
                && blake3::hash(&copy[..4064]).as_bytes() == &copy[4064..]
        })
        .max_by_key(|copy| u64_at(copy, 32))
        .expect("a header is whole")
}

fn unwrap_slot(header: &[u8], number: u8, secrets: &Secrets<'_>) -> Option<[u8; 32]> {
    let slot = &header[64 + usize::from(number) * 128..][..128];
    let key_file = secrets.key_file.map(|text| {
        let encoded = text.trim().strip_prefix("tuskvault-key-1:").unwrap();
        let bytes = data_encoding::BASE32_NOPAD.decode(encoded.as_bytes());
        let bytes = bytes.unwrap();
        let check = blake3::derive_key("tuskvault 2026-11 key file checksum v1", &bytes[..32]);
        assert_eq!(check[..8], bytes[32..], "the key file's checksum");
        bytes[..32].to_vec()
    });
    let passphrase = secrets.passphrase.map(|text| text.as_bytes().to_vec());
    let secret = match u32_at(slot, 0) {
        1 => passphrase?,
        2 => key_file?,
        3 => {
            let both = [key_file?, passphrase?].concat();
            blake3::derive_key("tuskvault 2026-11 passphrase and key file v1", &both).to_vec()
        }
        _ => return None,
    };
    let (memory, passes, lanes) = (u32_at(slot, 4), u32_at(slot, 8), u32_at(slot, 12));
    let params = Params::new(memory, passes, lanes, Some(32)).unwrap();
    let mut key = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(&secret, &slot[24..56], &mut key)
        .unwrap();
    let associated = [
        b"tuskvault slot v1",
        &header[16..32],
        &[number],
        &slot[..24],
        &slot[24..56],
    ]
    .concat();
    let seal = [&slot[56..80], &slot[112..128]].concat();
    let mut master: [u8; 32] = slot[80..112].try_into().unwrap();
    opens(&cipher(&key), &seal, &associated, &mut master).then_some(master)
}

struct Pages<'f> {
    file: &'f [u8],
    vault_id: &'f [u8],
    cipher: XChaCha20Poly1305,
}

impl Pages<'_> {
    fn unit(&self, unit: u64) -> Vec<u8> {
        let at = usize::try_from(unit * 4096).unwrap();
        self.file[at..at + 4096].to_vec()
    }

    fn associated(&self, kind: u8, number: u64) -> Vec<u8> {
        let parts: [&[u8]; 4] = [b"TUSKVLT1", self.vault_id, &[kind], &number.to_le_bytes()];
        parts.concat()
    }

    fn superblock(&self, unit: u64) -> Option<Vec<u8>> {
        let unit = self.unit(unit);
        let mut body = unit[40..].to_vec();
        let associated = self.associated(1, 0);
        opens(&self.cipher, &unit[..40], &associated, &mut body).then_some(body)
    }

    fn open(&self, unit: u64, seal: &[u8], kind: u8, number: u64) -> Vec<u8> {
        let mut bytes = self.unit(unit);
        let associated = self.associated(kind, number);
        let authentic = opens(&self.cipher, seal, &associated, &mut bytes);
        assert!(authentic, "unit {unit}");
        bytes
    }
}

fn cipher(key: &[u8; 32]) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.into())
}

fn opens(cipher: &XChaCha20Poly1305, seal: &[u8], associated: &[u8], bytes: &mut [u8]) -> bool {
    let nonce = XNonce::try_from(&seal[..24]).unwrap();
    let tag = Tag::try_from(&seal[24..40]).unwrap();
    cipher
        .decrypt_inout_detached(&nonce, associated, InOutBuf::from(bytes), &tag)
        .is_ok()
}

fn child(children: &[u8], number: u64) -> Option<(u8, &[u8])> {
    let child = &children[usize::try_from(number).unwrap() * 41..][..41];
    let written = child[1..].iter().any(|byte| *byte != 0);
    written.then_some((child[0], &child[1..]))
}

fn rows(logical: &[u8]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");
    let memory = InMemoryBackend::new();
    StorageBackend::set_len(&memory, logical.len() as u64).unwrap();
    StorageBackend::write(&memory, 0, logical).unwrap();
    let database = Builder::new().create_with_backend(memory).unwrap();
    let table = database.begin_read().unwrap().open_table(ROWS).unwrap();
    let range = table.range::<&[u8]>(..).unwrap();
    range
        .map(|row| row.map(|(key, value)| (key.value().to_vec(), value.value().to_vec())))
        .collect::<Result<_, _>>()
        .unwrap()
}

impl Contents {
    /// Every version of every token, sorted.
    pub(crate) fn tokens(&self) -> Vec<TokenRow> {
        let mut tokens: Vec<TokenRow> = Vec::new();
        let stories = self.stories(18, |block, kind, before: Option<&TokenRow>| {
            let state = block.token_state();
            match kind {
                1 => before.unwrap().clone().in_state(state),
                _ => block.token(state),
            }
        });
        for ((source, key, since), until, token) in stories {
            tokens.push(TokenRow {
                source,
                key,
                since,
                until,
                ..token
            });
        }
        tokens.sort();
        tokens
    }

    /// Every version of every app.
    pub(crate) fn apps(&self) -> Vec<App> {
        let stories = self.stories(16, |block, _, _| block.app());
        let apps = stories.into_iter();
        apps.map(|((_, key, _), _, app)| App { key, ..app })
            .collect()
    }

    /// Every version of every account.
    pub(crate) fn accounts(&self) -> Vec<Account> {
        let stories = self.stories(17, |block, _, _| block.account());
        let accounts = stories.into_iter();
        accounts
            .map(|((_, key, _), _, account)| Account { key, ..account })
            .collect()
    }

    /// Every version of every row of a relation: source, row key and since; until; what it said. `body` reads what a row
    /// says: the whole (2), or its state alone (1), given what it said before.
    fn stories<T: Clone>(
        &self,
        tag: u8,
        body: impl Fn(&mut Block, u8, Option<&T>) -> T,
    ) -> Vec<(At, Option<i64>, T)> {
        let mut steps: BTreeMap<At, Option<T>> = BTreeMap::new();
        for (tag, is_later) in [(tag, false), (tag + 8, true)] {
            for (key, mut block) in self.blocks(tag) {
                let source = u32::from_be_bytes(key[1..5].try_into().unwrap());
                for _ in 0..block.rows {
                    block.at = 0;
                    let row = block.ascending();
                    let since = i64::from_le_bytes(block.symbol().try_into().unwrap());
                    let kind = if is_later { block.symbol()[0] } else { 2 };
                    let mut of_row = steps
                        .range((source, row, i64::MIN)..(source, row, since))
                        .rev();
                    let before = of_row.find_map(|(_, step)| step.as_ref());
                    let step = (kind != 0).then(|| body(&mut block, kind, before));
                    steps.insert((source, row, since), step);
                }
                block.end();
            }
        }
        let next = |(source, row, since): (u32, u64, i64)| {
            let later = (source, row, since + 1)..=(source, row, i64::MAX);
            steps.range(later).next().map(|((.., since), _)| *since)
        };
        let versions = steps
            .iter()
            .filter_map(|(at, step)| Some((*at, next(*at), step.clone()?)));
        versions.collect()
    }

    pub(crate) fn answers(&self) -> Vec<Answer> {
        let mut answers = Vec::new();
        for (_, mut block) in self.blocks(19) {
            for _ in 0..block.rows {
                block.at = 0;
                let id = data_encoding::BASE32_NOPAD.encode(&block.sorted_text());
                let at = block.delta();
                let (answer, account) = (block.symbol(), block.symbol());
                let mut answer = Value::new(&answer);
                let (verdict, words) = (answer.text(), answer.optional_text());
                let user = (!account.is_empty()).then(|| {
                    let mut account = Value::new(&account);
                    let _id = account.text();
                    account.text()
                });
                answers.push((id.to_lowercase(), at, verdict, words, user));
            }
            block.end();
        }
        answers
    }

    /// The index of answers: user names in lower case, and the token's id in base32.
    pub(crate) fn answers_by_user(&self) -> Vec<(String, String)> {
        let mut entries = Vec::new();
        for (_, mut block) in self.blocks(37) {
            for _ in 0..block.rows {
                block.at = 0;
                let name = text(&block.sorted_text());
                let id = data_encoding::BASE32_NOPAD.encode(&block.column().take(16));
                entries.push((name, id.to_lowercase()));
            }
            block.end();
        }
        entries
    }

    /// Entries of the audit log and whether the chain of their links holds.
    pub(crate) fn audit(&self) -> (u64, bool) {
        let key: [u8; 32] = self.rows[&vec![0]][36..68].try_into().unwrap();
        let (mut number, mut before, mut holds) = (0u64, vec![0; 32], true);
        for (at, value) in self.rows.range(vec![3]..vec![4]) {
            number += 1;
            holds &= at[1..] == number.to_be_bytes();
            let (link, row) = value.split_at(32);
            let mut hasher = blake3::Hasher::new_keyed(&key);
            for part in [number.to_le_bytes().as_slice(), &before, row] {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
            holds &= hasher.finalize().as_bytes() == link;
            before = link.to_vec();
        }
        (number, holds)
    }

    /// The id of a token: 16 bytes in base32.
    pub(crate) fn token_id(&self, token: &TokenRow) -> String {
        let key: [u8; 32] = self.rows[&vec![0]][4..36].try_into().unwrap();
        let mut hasher = blake3::Hasher::new_keyed(&key);
        for part in ["token id", &token.instance] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let of_instance = *hasher.finalize().as_bytes();
        let id = blake3::keyed_hash(&of_instance, token.access_token.as_bytes());
        let id = data_encoding::BASE32_NOPAD.encode(&id.as_bytes()[..16]);
        id.to_lowercase()
    }

    fn blocks(&self, tag: u8) -> impl Iterator<Item = (&Vec<u8>, Block)> {
        let of_tag = self.rows.range(vec![tag]..vec![tag + 1]);
        of_tag.map(|(key, value)| (key, Block::new(value)))
    }
}

/// What an instance answered: the token's id in base32, when, the verdict, the server's words, the user name told.
pub(crate) type Answer = (String, i64, String, Option<String>, Option<String>);

/// Source, row key and since.
type At = (u32, u64, i64);

/// A block of rows while it is read.
struct Block {
    rows: u64,
    columns: Vec<Column>,
    at: usize,
}

#[derive(Default)]
struct Column {
    bytes: Vec<u8>,
    read: usize,
    last: u64,
    last_text: Vec<u8>,
    symbols: Option<Vec<Vec<u8>>>,
    /// Bits read behind `read`: of a column of symbols alone.
    bits: usize,
}

impl Block {
    fn new(value: &[u8]) -> Self {
        assert_eq!(value[0], 1, "the version of a block");
        let mut frame = Column {
            bytes: value[1..].to_vec(),
            ..Column::default()
        };
        let (rows, count) = (frame.leb128(), frame.leb128());
        let columns = (0..count).map(|_| Column {
            bytes: frame.counted(),
            ..Column::default()
        });
        let columns = columns.collect();
        assert_eq!(frame.read, frame.bytes.len());
        Self {
            rows,
            columns,
            at: 0,
        }
    }

    fn end(&self) {
        let is_read = |column: &Column| column.read + column.bits.div_ceil(8) == column.bytes.len();
        assert!(self.columns.iter().all(is_read));
    }

    fn column(&mut self) -> &mut Column {
        self.at += 1;
        &mut self.columns[self.at - 1]
    }

    fn ascending(&mut self) -> u64 {
        let column = self.column();
        column.last = column.last.wrapping_add(column.leb128());
        column.last
    }

    fn delta(&mut self) -> i64 {
        let column = self.column();
        let zigzag = column.leb128();
        let difference = (zigzag >> 1) ^ (zigzag & 1).wrapping_neg();
        column.last = column.last.wrapping_add(difference);
        column.last.cast_signed()
    }

    fn plain(&mut self) -> u64 {
        self.column().leb128()
    }

    fn text(&mut self) -> Vec<u8> {
        self.column().counted()
    }

    fn sorted_text(&mut self) -> Vec<u8> {
        let column = self.column();
        let shared = usize::try_from(column.leb128()).unwrap();
        let own = column.counted();
        column.last_text.truncate(shared);
        column.last_text.extend(own);
        column.last_text.clone()
    }

    fn symbol(&mut self) -> Vec<u8> {
        let column = self.column();
        if column.symbols.is_none() {
            let symbols = (0..column.leb128()).map(|_| column.counted()).collect();
            column.symbols = Some(symbols);
        }
        let symbols = column.symbols.as_ref().unwrap();
        let width = usize::BITS - (symbols.len() - 1).leading_zeros();
        let mut number = 0;
        for place in 0..width {
            let byte = column.bytes[column.read + column.bits / 8];
            number |= usize::from(byte >> (column.bits % 8) & 1) << place;
            column.bits += 1;
        }
        symbols[number].clone()
    }

    fn optional_text(&mut self) -> Option<String> {
        let symbol = self.symbol();
        (!symbol.is_empty()).then(|| text(symbol.strip_prefix(b"+").unwrap()))
    }

    fn secret(&mut self) -> Option<String> {
        let form = self.symbol()[0];
        self.at += 2;
        match form {
            0 => None,
            3 => Some(text(&self.columns[self.at - 1].counted())),
            form => {
                let raw = self.columns[self.at - 2].take(32);
                let base64 = data_encoding::BASE64URL_NOPAD;
                let hex = data_encoding::HEXLOWER;
                Some(if form == 1 { base64 } else { hex }.encode(&raw))
            }
        }
    }

    fn time(&mut self) -> Option<i64> {
        let form = self.symbol()[0];
        let at = self.at;
        let time = match form {
            0 => None,
            1 => Some(self.delta() * 1_000_000),
            _ => {
                self.at += 1;
                Some(self.delta())
            }
        };
        self.at = at + 2;
        time
    }

    fn token_state(&mut self) -> State {
        State {
            refresh: self.secret(),
            scopes: self.optional_text(),
            expires_at: self.time(),
            revoked_at: self.time(),
        }
    }

    fn token(&mut self, state: State) -> TokenRow {
        let (instance, access_token) = (text(&self.symbol()), self.secret().unwrap());
        let (kind, created_at) = (self.optional_text(), self.time());
        TokenRow {
            source: 0,
            key: 0,
            since: 0,
            until: None,
            instance,
            access_token,
            refresh: state.refresh,
            kind,
            scopes: state.scopes,
            times: [created_at, state.expires_at, state.revoked_at],
            app: self.plain().checked_sub(1),
            account: self.plain().checked_sub(1),
        }
    }

    fn app(&mut self) -> App {
        let _instance = self.symbol();
        let app = App {
            key: 0,
            name: self.optional_text(),
            client_id: self.secret(),
            client_secret: self.secret(),
            redirect_uris: text(&self.symbol()),
        };
        let (_scopes, _website) = (self.optional_text(), self.optional_text());
        let _base_url = self.optional_text();
        if self.symbol()[2] == 1 {
            self.plain();
        } else {
            self.at += 1;
        }
        self.time();
        app
    }

    fn account(&mut self) -> Account {
        let instance = text(&self.symbol());
        let known = self.symbol() == [1];
        let username = known.then(|| text(&self.text()));
        self.at += usize::from(!known);
        self.time();
        Account {
            key: 0,
            instance,
            username,
        }
    }
}

/// Fields one after the other, behind a version byte.
struct Value<'v>(&'v [u8]);

impl<'v> Value<'v> {
    fn new(bytes: &'v [u8]) -> Self {
        assert_eq!(bytes[0], 1, "the version of a value");
        Self(&bytes[1..])
    }

    fn take(&mut self, len: usize) -> &'v [u8] {
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }

    fn text(&mut self) -> String {
        let len = match self.take(1)[0] {
            251 => usize::from(u16::from_le_bytes(self.take(2).try_into().unwrap())),
            len => usize::from(len),
        };
        text(self.take(len))
    }

    fn optional_text(&mut self) -> Option<String> {
        (self.take(1) == [1]).then(|| self.text())
    }
}

/// What changes in the life of a token.
struct State {
    refresh: Option<String>,
    scopes: Option<String>,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
}

impl TokenRow {
    fn in_state(self, state: State) -> Self {
        let [created_at, ..] = self.times;
        Self {
            refresh: state.refresh,
            scopes: state.scopes,
            times: [created_at, state.expires_at, state.revoked_at],
            ..self
        }
    }
}

impl Column {
    fn take(&mut self, len: usize) -> Vec<u8> {
        self.read += len;
        self.bytes[self.read - len..self.read].to_vec()
    }

    fn leb128(&mut self) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.take(1)[0];
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return value;
            }
        }
    }

    fn counted(&mut self) -> Vec<u8> {
        let len = usize::try_from(self.leb128()).unwrap();
        self.take(len)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}
