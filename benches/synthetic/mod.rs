//! A synthetic instance: as many tokens as wanted, of a quarter as many accounts and a tenth as many apps, with the mix
//! that a server has (10 % revoked, 2 % of applications themselves, a third of the web interface, 3 % in the old hex
//! form, ids with gaps). The same every time.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each measurement uses a part of it"
)]

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use jiff::Timestamp;
use tuskvault::{
    model::{
        Account, Actor, App, Completeness, Domain, Keys, Moment, RowSink, Run, Scope, Scopes,
        Secret, SourceKey, TokenRow,
    },
    vault::{RunStart, Vault},
};

/// The size of an instance.
#[derive(Clone, Copy)]
pub struct Instance {
    pub tokens: u64,
    /// So many nights have passed, in each of which some tokens were revoked or got other scopes.
    pub nights: u64,
    /// One token in so many changes in a night.
    pub changes_one_in: u64,
}

/// A token as it stands in a server's table.
pub struct Token {
    pub key: u64,
    pub text: String,
    pub scopes: &'static str,
    pub created_at: i64,
    pub revoked_at: Option<i64>,
    pub app: u64,
    pub account: Option<u64>,
}

impl Instance {
    pub fn new(tokens: u64) -> Self {
        Self {
            tokens,
            nights: 0,
            changes_one_in: 1_000,
        }
    }

    pub fn accounts(self) -> impl Iterator<Item = (u64, Account)> {
        (1..=self.tokens / 4).map(|n| {
            let username = Some(format!(
                "{}{}",
                NAMES[mix(n, 1) as usize % NAMES.len()],
                mix(n, 2) % 1_000_000
            ));
            let created_at = Some(Moment(BASE + n as i64 * 97_003_001).timestamp());
            (
                n * 2,
                Account {
                    instance: domain(),
                    username,
                    created_at,
                },
            )
        })
    }

    pub fn apps(self) -> impl Iterator<Item = (u64, App)> {
        (1..=self.tokens / 10).map(|n| {
            let kind = KINDS[mix(n, 3) as usize % KINDS.len()];
            let app = App {
                name: Some(kind.0.to_owned()),
                client_id: Some(secret(n, 4, false)),
                client_secret: Some(Secret::from(&*secret(n, 5, false))),
                redirect_uris: vec![kind.1.to_owned()],
                scopes: Some(Scopes::parse(SCOPES[n as usize % SCOPES.len()])),
                website: Some(kind.2.to_owned()),
                superapp: n == 1,
                confidential: Some(true),
                created_at: Some(Moment(BASE + n as i64 * 251_003_001).timestamp()),
                ..App::unknown(domain())
            };
            (n, app)
        })
    }

    pub fn tokens(self) -> impl Iterator<Item = Token> {
        (1..=self.tokens).map(move |n| {
            let created_at = BASE + n as i64 * 25_003_001 + (mix(n, 6) % 20_000_000) as i64;
            let mut token = Token {
                key: n + n / 7,
                text: secret(n, 7, mix(n, 8) % 100 < 3),
                scopes: SCOPES[mix(n, 9) as usize % SCOPES.len()],
                created_at,
                revoked_at: (mix(n, 10).is_multiple_of(10))
                    .then_some(created_at + (mix(n, 11) % 90_000_000_000_000) as i64),
                app: if mix(n, 12).is_multiple_of(3) {
                    1
                } else {
                    1 + mix(n, 13) % (self.tokens / 10).max(1)
                },
                account: (!mix(n, 14).is_multiple_of(50))
                    .then(|| 2 * (1 + mix(n, 15) % (self.tokens / 4).max(1))),
            };
            let changes = |night: &u64| mix(n, 1_000 + night).is_multiple_of(self.changes_one_in);
            for night in (1..=self.nights).filter(changes) {
                if token.revoked_at.is_none() && night.is_multiple_of(2) {
                    token.revoked_at = Some(NOW * 1_000_000 + night as i64 * 86_400_000_000);
                } else {
                    let next = SCOPES
                        .iter()
                        .position(|scopes| *scopes == token.scopes)
                        .unwrap_or(0)
                        + 1;
                    token.scopes = SCOPES[next % SCOPES.len()];
                }
            }
            token
        })
    }

    /// Records the instance as a run.
    pub fn record(self, vault: &mut Vault, at: i64) -> Run {
        let instance = domain();
        let now = Timestamp::from_second(NOW + at).unwrap();
        let mut run = vault
            .begin_run(RunStart {
                source: SourceKey {
                    connector: "postgres".to_owned(),
                    location: "mastodon_production".to_owned(),
                    host: "db".to_owned(),
                },
                instance: Some(instance.clone()),
                scope: Scope::All,
                keys: Keys::Server,
                effective_at: None,
                now,
                actor: Actor {
                    user: "mastodon".to_owned(),
                    host: "db".to_owned(),
                },
                note: None,
                accept_shrink: false,
                origin: None,
            })
            .unwrap();
        for (key, app) in self.apps() {
            run.app(key, &app).unwrap();
        }
        for (key, account) in self.accounts() {
            run.account(key, &account).unwrap();
        }
        for token in self.tokens() {
            let row = TokenRow {
                instance: &instance,
                access_token: &token.text,
                refresh_token: None,
                token_type: None,
                scopes: Some(token.scopes),
                created_at: Some(Moment(token.created_at)),
                expires_at: None,
                revoked_at: token.revoked_at.map(Moment),
                app: Some(token.app),
                account: token.account,
            };
            run.token(token.key, &row).unwrap();
        }
        run.finish(Completeness::Complete).unwrap()
    }
}

/// The instance's name.
pub fn domain() -> Domain {
    Domain::parse("mastodon.example").unwrap()
}

/// SplitMix64 of a row and a purpose.
pub fn mix(n: u64, purpose: u64) -> u64 {
    let mut z = n
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(purpose.wrapping_mul(0xd1b5_4a32_d192_ed03));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn secret(n: u64, purpose: u64, hex: bool) -> String {
    let mut raw = [0; 32];
    for (at, part) in raw.chunks_exact_mut(8).enumerate() {
        part.copy_from_slice(&mix(n, purpose * 8 + at as u64).to_le_bytes());
    }
    if hex {
        HEXLOWER.encode(&raw)
    } else {
        BASE64URL_NOPAD.encode(&raw)
    }
}

const BASE: i64 = 1_500_000_000_000_000;
const NOW: i64 = 1_800_000_000;
const NAMES: [&str; 8] = [
    "ada",
    "alexander",
    "b_orges",
    "chiyo",
    "mika",
    "photos_of_",
    "the_real_",
    "xx",
];
const SCOPES: [&str; 5] = [
    "read write follow",
    "read write follow push",
    "read",
    "read:accounts write:statuses",
    "profile read write push",
];
const KINDS: [(&str, &str, &str); 6] = [
    (
        "Tusky",
        "oauth2redirect://com.keylesspalace.tusky/",
        "https://tusky.app",
    ),
    (
        "Mastodon for Android",
        "mastodon-android-auth://callback",
        "https://app.joinmastodon.org/android",
    ),
    (
        "Mastodon for iOS",
        "mastodon://joinmastodon.org/oauth",
        "https://app.joinmastodon.org/ios",
    ),
    (
        "Elk",
        "https://elk.zone/api/mastodon.social/oauth/https%3A%2F%2Felk.zone",
        "https://elk.zone",
    ),
    (
        "toot",
        "urn:ietf:wg:oauth:2.0:oob",
        "https://github.com/ihabunek/toot",
    ),
    ("Web", "urn:ietf:wg:oauth:2.0:oob", ""),
];
