//! What instances answered about tokens, in words.

use jiff::Timestamp;
use tuskvault::model::{Domain, Record, Verdict, Verification};

use super::report;

/// "2 days ago: works as alice@m.example"; `None` where nobody asked.
pub(crate) fn of(record: &Record, now: Timestamp) -> Option<String> {
    let answer = record.verified.as_ref()?;
    let ago = ago(answer.at, now);
    Some(format!("{ago}: {}", sentence(answer, &record.instance)))
}

/// The same with the time and the server's words, for a line of its own.
pub(crate) fn of_in_full(record: &Record, now: Timestamp) -> Option<String> {
    let answer = record.verified.as_ref()?;
    let (ago, at) = (ago(answer.at, now), report::time(answer.at));
    let sentence = in_full(answer, &record.instance);
    Some(format!("{ago} ({at}): {sentence}"))
}

/// What the answer says of the token, with the server's own words.
pub(crate) fn in_full(answer: &Verification, instance: &Domain) -> String {
    let sentence = sentence(answer, instance);
    match &answer.words {
        Some(words) => format!("{sentence} (\"{words}\")"),
        None => sentence,
    }
}

/// What the answer says of the token.
pub(crate) fn sentence(answer: &Verification, instance: &Domain) -> String {
    let account = answer.account.as_ref();
    let account = account.map(|account| format!("{}@{instance}", account.username));
    let fixed = match answer.verdict {
        Verdict::Works => match account {
            Some(account) => return format!("works as {account}"),
            None => "works, as the application itself",
        },
        Verdict::LacksScope => "works, but may not tell whose it is",
        Verdict::OtherAccount => match account {
            Some(account) => return format!("WORKS AS SOMEBODY ELSE: {account}"),
            None => "WORKS AS NOBODY: it is an application's own",
        },
        Verdict::OtherApp => {
            let app = answer.app.as_ref().and_then(|app| app.name.as_deref());
            return format!("WORKS FOR ANOTHER APP: {}", app.unwrap_or("?"));
        }
        Verdict::Unknown => "not known to the instance",
        Verdict::Revoked => "revoked",
        Verdict::Expired => "expired",
        Verdict::Refused => "refused",
        Verdict::Disabled => "known, but the account's login is disabled",
        Verdict::Unconfirmed => "known, but the account's e-mail is not confirmed",
        Verdict::Pending => "known, but the account waits for approval",
        Verdict::InstanceGone => "the instance is gone",
    };
    fixed.to_owned()
}

/// What a person may make of a verdict that is not good.
#[cfg(feature = "online")]
pub(crate) fn advice(verdict: Verdict) -> Option<&'static str> {
    Some(match verdict {
        Verdict::Works => return None,
        Verdict::LacksScope => {
            "such a token lacks the scope read:accounts (or profile), so the instance does not say whose it is; it works for the rest"
        }
        Verdict::OtherAccount => {
            "a token that works as somebody else than its record says gets an app into another account: don't restore it before \
             it is clear why"
        }
        Verdict::OtherApp => {
            "a token that was issued to another app than its record says can't be revoked or renewed with that app's credentials"
        }
        Verdict::Unknown => {
            "an unknown token was revoked and cleaned up, or the server's database was rebuilt: log in again, or ask its admin \
             to put it back (`tuskvault restore … --to postgres`)"
        }
        Verdict::Revoked => "a revoked token stays revoked: log in again with the app",
        Verdict::Expired => "an expired token does not come back: log in again with the app",
        Verdict::Refused => "the instance refuses it and does not say why in words that are known",
        Verdict::Disabled => {
            "the account can't be used: disabled, suspended, moved away, a memorial, or its role demands two-factor login; \
             whether the token is well shows when that ends"
        }
        Verdict::Unconfirmed => "the token is well: confirm the account's e-mail address",
        Verdict::Pending => {
            "the token is well: the instance's moderators have to approve the account"
        }
        Verdict::InstanceGone => {
            "where the instance is gone its tokens are of no use, unless it comes back under the same name"
        }
    })
}

/// How long ago that was.
pub(crate) fn ago(at: Timestamp, now: Timestamp) -> String {
    let (count, unit) = match now.duration_since(at).as_secs() {
        // A clock that was ahead.
        ..0 => return format!("on {}", report::time(at)),
        secs @ 0..60 => {
            return if secs < 10 {
                "just now".to_owned()
            } else {
                format!("{secs} s ago")
            };
        }
        secs @ 60..5_400 => ((secs + 30) / 60, "minute"),
        secs @ 5_400..129_600 => ((secs + 1_800) / 3_600, "hour"),
        secs @ 129_600..5_184_000 => ((secs + 43_200) / 86_400, "day"),
        secs @ 5_184_000..63_072_000 => ((secs + 1_314_900) / 2_629_800, "month"),
        secs => (secs / 31_557_600, "year"),
    };
    format!("{} ago", report::plural(count.unsigned_abs(), unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_long_ago_as_they_are() {
        let at: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let after = |secs: i64| ago(at, at + jiff::SignedDuration::from_secs(secs));
        for (secs, text) in [
            (3, "just now"),
            (59, "59 s ago"),
            (60, "1 minute ago"),
            (5_399, "90 minutes ago"),
            (5_400, "2 hours ago"),
            (36 * 3_600 - 1, "36 hours ago"),
            (36 * 3_600, "2 days ago"),
            (59 * 86_400, "59 days ago"),
            (61 * 86_400, "2 months ago"),
            (800 * 86_400, "2 years ago"),
        ] {
            assert_eq!(after(secs), text);
        }
        assert!(after(-5).starts_with("on 202"));
    }
}
