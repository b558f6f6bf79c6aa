//! The names that how-to articles and bots give to what belongs to a token. Observed, not a standard.

/// A key as it is compared: lower case, without `_`, `-` and `.`. `None` for one that is too long to be a name.
pub(super) fn normal(key: &str) -> Option<String> {
    (key.len() <= MAX_KEY).then(|| {
        key.chars()
            .filter(|c| !matches!(c, '_' | '-' | '.'))
            .flat_map(char::to_lowercase)
            .collect()
    })
}

/// Names of an access token. The longer, the more specific.
pub(super) const TOKEN: &[&str] = &[
    "accesstoken",
    "token",
    "mastodontoken",
    "mastodonaccesstoken",
    "usertoken",
    "bearertoken",
    "apitoken",
];

/// Names that only mean an instance, the surest first.
pub(super) const INSTANCE: &[&str] = &[
    "mastodoninstance",
    "mastodonserver",
    "mastodonhost",
    "instance",
    "instanceurl",
    "apibaseurl",
];

/// Names that can also mean any other host.
pub(super) const HOST: &[&str] = &["baseurl", "apiurl", "server", "domain", "host", "url"];

/// Names of what answers the API, where that is another host than the instance's name.
pub(super) const API: &[&str] = &["apibaseurl", "apiurl", "baseurl"];

/// Names of a client_id.
pub(super) const CLIENT_ID: &[&str] = &["clientid", "clientkey", "appid", "consumerkey"];

/// Names of a client_secret.
pub(super) const CLIENT_SECRET: &[&str] = &["clientsecret", "appsecret", "consumersecret"];

/// Names of the user, the surest first.
pub(super) const ACCOUNT: &[&str] = &[
    "acct",
    "handle",
    "username",
    "screenname",
    "account",
    "user",
];

/// Names of scopes.
pub(super) const SCOPES: &[&str] = &["scope", "scopes"];

/// Whether a token of this name can be another service's: the name doesn't say Mastodon, and isn't OAuth's own.
pub(super) fn is_vague(token: &str) -> bool {
    !is_mastodons(token) && token != "accesstoken"
}

/// Whether the name says Mastodon.
pub(super) fn is_mastodons(key: &str) -> bool {
    key.starts_with("mastodon")
}

/// Whether only OAuth 1 has a key of this name (Twitter): no token beside it is Mastodon's.
pub(super) fn is_oauth1(key: &str) -> bool {
    matches!(
        key,
        "accesstokensecret" | "oauthtokensecret" | "tokensecret"
    )
}

/// The other service that a key speaks of.
pub(super) fn service(key: &str) -> Option<&'static str> {
    let services = SERVICES.iter().copied();
    let mut services = services.filter(|service| key.starts_with(service));
    match key {
        "bottoken" => Some("a bot token"),
        _ => services.next(),
    }
}

/// Services whose tokens stand in the same kind of file, under the same names.
const SERVICES: &[&str] = &[
    "discord",
    "telegram",
    "twitter",
    "slack",
    "bluesky",
    "bsky",
    "matrix",
    "github",
    "gitlab",
    "twitch",
    "reddit",
    "tumblr",
    "facebook",
    "instagram",
    "openai",
];

/// With room for separators.
const MAX_KEY: usize = 64;

/// The name of the other half of a client's pair, in the spelling of the half that is there; `None` for a spelling
/// that isn't known.
pub(super) fn counterpart(key: &str) -> Option<&'static str> {
    Some(match key {
        "client_id" | "client_key" => "client_secret",
        "clientId" | "clientKey" => "clientSecret",
        "client-id" | "client-key" => "client-secret",
        "app_id" => "app_secret",
        "appId" => "appSecret",
        "consumer_key" => "consumer_secret",
        "consumerKey" => "consumerSecret",
        "client_secret" => "client_id",
        "clientSecret" => "clientId",
        "client-secret" => "client-id",
        "app_secret" => "app_id",
        "appSecret" => "appId",
        "consumer_secret" => "consumer_key",
        "consumerSecret" => "consumerKey",
        _ => return None,
    })
}
