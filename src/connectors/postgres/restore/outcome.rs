//! What becomes of a record, and why: numbers in SQL, words for people.

use crate::model::{Action, AppView, TokenId, User};

/// Declares the verdicts with their numbers, which SQL uses, and their words.
macro_rules! verdicts {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $action:ident, $words:literal;)*) => {
        /// What becomes of a record.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Verdict { $($(#[$doc])* $name = $number,)* }

        impl Verdict {
            /// The number by which SQL knows it.
            pub(super) const fn number(self) -> i16 { self as i16 }

            /// The verdict of a number.
            pub(super) fn of(number: i16) -> Option<Self> {
                match number { $($number => Some(Self::$name),)* _ => None }
            }

            /// What is done.
            pub fn action(self) -> Action {
                match self { $(Self::$name => Action::$action,)* }
            }

            /// Why, in words that follow what the record is.
            pub fn words(self) -> &'static str {
                match self { $(Self::$name => $words,)* }
            }
        }
    };
}

verdicts! {
    /// It is not there.
    New = 0, Insert, "";
    /// It is there already.
    There = 1, Unchanged, "it is there already";
    /// It is to be restored as revoked, and works at the server.
    ThereLive = 2, Unchanged, "it is there and works; a restore revokes nothing";
    /// It is there, revoked, and works again.
    Revived = 3, Update, "it was revoked there and works again";
    /// Whose token it is is not known.
    UserUnknown = 10, Refuse, "whose token it is is not known";
    /// When it was issued is not known.
    Undated = 11, Refuse, "when it was issued is not known";
    /// It is of another instance.
    OtherInstance = 12, Refuse, "it is a token of another instance; `--other-instance` restores it all the same";
    /// It holds something that the table can't.
    Unfit = 13, Refuse, "it holds a value that the table can't";
    /// Its app is not known.
    AppUnknown = 14, Refuse, "the client_id of its application is not known";
    /// It is a session of the web interface.
    Session = 15, Refuse, "it is a session of the web interface, which no page would show; `--sessions` restores it";
    /// It was revoked.
    Revoked = 16, Refuse, "it was revoked; `--revoked clear` lets it work again, `--revoked keep` restores it as it is";
    /// It has expired.
    Expired = 17, Refuse, "it has expired; `--revoked keep` restores it as it is";
    /// There is no such user.
    NoSuchUser = 20, Refuse, "there is no such user";
    /// The user is younger than the token.
    Younger = 21, Refuse, "the account is younger than the token, so the name may be somebody else's now; `--reused-names` restores it all the same";
    /// The server has no web interface of its own.
    NoWebApp = 22, Refuse, "the web interface has no application there";
    /// Its client_id is the web interface's there.
    IsWebApp = 23, Refuse, "its client_id is that of the server's own web interface";
    /// The token is somebody else's there.
    SomebodyElses = 24, Refuse, "the token is there and belongs to another user or application";
    /// The token is there, revoked.
    ThereRevoked = 25, Refuse, "it is there and was revoked; `--revoked clear` lets it work again";
    /// The token is there, revoked, and the role may not change that.
    MayNotRevive = 26, Refuse, "it is there and was revoked, and the role may not change that: GRANT UPDATE (revoked_at) ON oauth_access_tokens";
    /// The app is missing and can't be made.
    NoSecret = 27, Refuse, "its application is not there, and its client_secret is not known";
    /// The refresh token is another row's.
    RefreshTaken = 28, Refuse, "its refresh token is there and belongs to another token";
    /// Two records hold the same refresh token.
    RefreshTwice = 29, Refuse, "another record has the same refresh token";
    /// Two records hold the same token.
    TokenTwice = 30, Refuse, "another record has the same token";
    /// The server wrote it in between.
    Overtaken = 31, Refuse, "the server wrote the same token at the same time; run the same again";
    /// The app has another secret there.
    OtherSecret = 40, Refuse, "the server has another client_secret for it, which is kept";
    /// The app has other settings there.
    OtherSettings = 41, Unchanged, "the server has other scopes or redirect URIs for it, which are kept";
}

/// What keeps a user's tokens from working, as bits.
const STATES: [(i16, &str); 7] = [
    (UNCONFIRMED, "has not confirmed the e-mail address"),
    (DISABLED, "is disabled"),
    (PENDING, "waits for approval"),
    (SUSPENDED, "is suspended"),
    (MEMORIAL, "is a memorial"),
    (MOVED, "has moved away"),
    (LEAVING, "asked for deletion"),
];
pub(super) const UNCONFIRMED: i16 = 1;
pub(super) const DISABLED: i16 = 2;
pub(super) const PENDING: i16 = 4;
pub(super) const SUSPENDED: i16 = 8;
pub(super) const MEMORIAL: i16 = 16;
pub(super) const MOVED: i16 = 32;
pub(super) const LEAVING: i16 = 64;

/// What else to say, as bits.
const NOTES: [(i16, &str); 6] = [
    (MADE, "the application was made anew"),
    (
        OTHER_ID,
        "under another id, so old posts lose the name of the application",
    ),
    (NO_OWNER, "without its owner, who is not there"),
    (
        OTHER_SECRET,
        "the server has another client_secret for the application, which is kept",
    ),
    (
        OTHER_SETTINGS,
        "the server has other scopes or redirect URIs for the application, which are kept",
    ),
    (OTHER_SCOPES, "with other scopes, which are kept"),
];
pub(super) const MADE: i16 = 1;
pub(super) const OTHER_ID: i16 = 2;
pub(super) const NO_OWNER: i16 = 4;
pub(super) const OTHER_SECRET: i16 = 8;
pub(super) const OTHER_SETTINGS: i16 = 16;
pub(super) const OTHER_SCOPES: i16 = 32;

/// What became of one token, or would in a rehearsal. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The token.
    pub id: TokenId,
    /// How many characters of its id name it.
    pub id_digits: usize,
    /// What is done, and why.
    pub verdict: Verdict,
    /// In words: whose token for which app, why not, what to know.
    pub detail: String,
}

/// What became of one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppOutcome {
    /// Its name.
    pub name: Option<String>,
    /// Its client_id.
    pub client_id: Option<String>,
    /// What is done, and why.
    pub verdict: Verdict,
    /// Whether the words say more than what app it is.
    pub is_remarkable: bool,
    /// In words.
    pub detail: String,
}

/// What became of everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// How many tokens (of `--apps`: apps) came to each verdict.
    pub verdicts: Vec<(Verdict, u64)>,
    /// Tokens that were put back for users who can't use them for now.
    pub waiting: u64,
    /// Apps that were made anew.
    pub apps_made: u64,
    /// Of these, under another id than before.
    pub apps_renumbered: u64,
    /// Of these, without their owner.
    pub apps_ownerless: u64,
    /// Apps in use that have another secret at the server.
    pub apps_differing: u64,
}

impl Summary {
    /// How many came to this.
    pub fn count(&self, action: Action) -> u64 {
        let of = self.verdicts.iter();
        of.filter(|(verdict, _)| verdict.action() == action)
            .map(|(_, count)| count)
            .sum()
    }
}

/// "token of alice for toot".
pub(super) fn what(user: &User, app: &AppView) -> String {
    let app = if app.superapp {
        Some(WEB_INTERFACE)
    } else {
        app.name.as_deref().or(app.client_id.as_deref())
    };
    words_of(user.name(), app)
}

/// The same of names alone.
pub(super) fn words_of(user: Option<&str>, app: Option<&str>) -> String {
    match (user, app) {
        (Some(user), Some(app)) => format!("token of {user} for {app}"),
        (Some(user), None) => format!("token of {user}"),
        (None, Some(app)) => format!("token of {app} itself"),
        (None, None) => "token".to_owned(),
    }
}

pub(super) const WEB_INTERFACE: &str = "the web interface";

/// "token of alice for toot: …".
pub(super) fn detail(what: &str, verdict: Verdict, state: i16, notes: i16) -> String {
    let mut parts = Vec::new();
    if !verdict.words().is_empty() {
        parts.push(verdict.words().to_owned());
    }
    parts.extend(words(&NOTES, notes).map(str::to_owned));
    if state != 0 && matches!(verdict.action(), Action::Insert | Action::Update) {
        let states: Vec<&str> = words(&STATES, state).collect();
        parts.push(format!(
            "it does not work as long as the user {}",
            states.join(" and ")
        ));
    }
    if parts.is_empty() {
        return what.to_owned();
    }
    format!("{what}: {}", parts.join("; "))
}

fn words<'a>(
    table: &'a [(i16, &'static str)],
    bits: i16,
) -> impl Iterator<Item = &'static str> + 'a {
    table
        .iter()
        .filter(move |(bit, _)| bits & bit != 0)
        .map(|(_, words)| *words)
}
