//! `export rails`: Ruby for Mastodon's Rails console that puts records back into its database.
//!
//! The recipe that circulates, `Doorkeeper::AccessToken.new(token: 'SAVED', …).save!`, returns true and stores a
//! *different* token: a create callback overwrites it (Doorkeeper 5.5, 5.9, 6.0). So the row is created, its token is
//! set by `update_columns`, which runs no callback and works from Mastodon 2.4 to 4.7, and it is read back and
//! compared. An application is stored without the validations of Mastodon's form. Everything happens in one
//! transaction.
//!
//! The script keeps the rules that guard the people behind the tokens: users are found by name among local accounts;
//! an account younger than the token belongs to somebody else now; the web interface's own application is mapped to
//! the server's and never made; what is there is never changed.
//!
//! # Security
//! Values come from strangers. Printable ASCII goes into single-quoted strings, in which Ruby interpolates nothing;
//! any other text is written in hexadecimal, so that neither Ruby nor a terminal that the script is pasted into sees
//! a line end or an escape sequence.

use std::fmt::Write as _;

use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::model::{Record, Scopes, Secret, Status, User};

/// What besides live app tokens is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Include {
    /// Revoked tokens too, as revoked ones.
    pub revoked: bool,
    /// Tokens of the web interface too: without their session row they work, but no page lets the user see or
    /// revoke them.
    pub sessions: bool,
}

/// A script, and what it leaves out.
pub struct Script {
    /// The commands. They hold the secrets.
    pub text: Zeroizing<String>,
    /// How many records it restores.
    pub restored: usize,
    /// Records that are left out, one sentence each.
    pub left_out: Vec<String>,
}

/// The script that restores these records, all of one instance or not: each is restored only on its own server.
pub fn export<'a>(records: impl IntoIterator<Item = &'a Record>, include: Include) -> Script {
    let mut entries: Vec<Zeroizing<String>> = Vec::new();
    let mut left_out = Vec::new();
    for record in records {
        match entry(record, include) {
            Ok(entry) => entries.push(entry),
            Err(why) => left_out.push(format!("{}: {why}", record.short_id())),
        }
    }
    let length = entries.iter().map(|entry| entry.len() + 8).sum::<usize>();
    let mut text = Zeroizing::new(String::with_capacity(length + HEAD.len() + TAIL.len() + 16));
    text.push_str(HEAD);
    for entry in &entries {
        text.push_str(entry);
    }
    text.push_str(TAIL);
    Script {
        text,
        restored: entries.len(),
        left_out,
    }
}

fn entry(record: &Record, include: Include) -> Result<Zeroizing<String>, &'static str> {
    if record.status == Status::Expired {
        return Err("it has expired");
    }
    if record.revoked_at.is_some() && !include.revoked {
        return Err("it was revoked");
    }
    if record.app.superapp && !include.sessions {
        return Err("it is a session of the web interface");
    }
    let Some(created_at) = record.created_at.or(record.first_seen()) else {
        return Err("when it was issued is not known");
    };
    let user = match &record.user {
        User::Named(name) => Some(name.as_str()),
        User::Application => None,
        User::Unknown => return Err("whose token it is is not known"),
    };
    let app = &record.app;
    let expires_in = expires_in(created_at, record.expires_at)?;
    let mut ruby = Ruby::with_capacity(2 * text_length(record) + 1024);
    ruby.open("  {");
    ruby.text("instance", Some(record.instance.as_str()));
    ruby.text("label", Some(&label(record)));
    ruby.text("user", user);
    ruby.text("token", Some(record.access_token.expose()));
    ruby.text(
        "refresh_token",
        record.refresh_token.as_ref().map(Secret::expose),
    );
    ruby.text("scopes", record.scopes.as_ref().map(Scopes::as_str));
    ruby.time("created_at", Some(created_at));
    ruby.plain("expires_in", expires_in);
    ruby.time("revoked_at", record.revoked_at);
    ruby.plain("superapp", Some(app.superapp));
    ruby.text("uid", app.client_id.as_deref());
    ruby.text("secret", app.client_secret.as_ref().map(Secret::expose));
    ruby.text("app_name", app.name.as_deref());
    let redirect_uris = app.redirect_uris.join("\n");
    ruby.text(
        "redirect_uri",
        (!redirect_uris.is_empty()).then_some(redirect_uris.as_str()),
    );
    ruby.text("app_scopes", app.scopes.as_ref().map(Scopes::as_str));
    ruby.text("website", app.website.as_deref());
    ruby.plain("confidential", app.confidential);
    ruby.text("owner", app.owner.as_deref());
    ruby.time("app_created_at", app.created_at);
    ruby.close(" },\n");
    Ok(ruby.0)
}

fn label(record: &Record) -> String {
    format!("{} {}", record.short_id(), record.key())
}

/// In seconds, as many as the database's column holds.
fn expires_in(
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
) -> Result<Option<i32>, &'static str> {
    let seconds = expires_at.map(|end| i32::try_from(end.as_second() - created_at.as_second()));
    seconds
        .transpose()
        .map_err(|_| "it lives longer than the database can tell")
}

fn text_length(record: &Record) -> usize {
    let app = &record.app;
    let secrets = [
        Some(&record.access_token),
        record.refresh_token.as_ref(),
        app.client_secret.as_ref(),
    ];
    secrets
        .iter()
        .flatten()
        .map(|secret| secret.expose().len())
        .sum()
}

/// A Ruby hash that is being written.
struct Ruby(Zeroizing<String>);

impl Ruby {
    fn with_capacity(bytes: usize) -> Self {
        Self(Zeroizing::new(String::with_capacity(bytes)))
    }

    fn open(&mut self, text: &str) {
        self.0.push_str(text);
    }

    fn close(&mut self, text: &str) {
        self.0.push_str(text);
    }

    fn key(&mut self, key: &str) {
        self.0.push(' ');
        self.0.push_str(key);
        self.0.push_str(": ");
    }

    fn text(&mut self, key: &str, value: Option<&str>) {
        self.key(key);
        match value {
            Some(value) => quote(&mut self.0, value),
            None => self.0.push_str("nil"),
        }
        self.0.push(',');
    }

    fn plain(&mut self, key: &str, value: Option<impl ToString>) {
        self.key(key);
        let value = value.map_or_else(|| "nil".to_owned(), |value| value.to_string());
        self.0.push_str(&value);
        self.0.push(',');
    }

    fn time(&mut self, key: &str, value: Option<Timestamp>) {
        self.text(key, value.map(|time| time.to_string()).as_deref());
    }
}

/// A Ruby expression for a string, without interpolation, in printable ASCII.
fn quote(out: &mut String, value: &str) {
    if value
        .bytes()
        .all(|byte| byte == b' ' || byte.is_ascii_graphic())
    {
        out.push('\'');
        for c in value.chars() {
            if matches!(c, '\'' | '\\') {
                out.push('\\');
            }
            out.push(c);
        }
        out.push('\'');
        return;
    }
    out.push_str("['");
    for byte in value.bytes() {
        // Writing to a string can't fail.
        let _ = write!(out, "{byte:02x}");
    }
    out.push_str("'].pack('H*').force_encoding('UTF-8')");
}

const HEAD: &str = "\
# Restores OAuth tokens of Mastodon apps. Run it on the server, as the user mastodon, in its folder:
#   RAILS_ENV=production bin/rails runner THIS_FILE
# or paste it into `bin/rails console`. It holds secrets: remove it afterwards.
# Everything happens in one transaction; what is there already is never changed.
records = [
";

const TAIL: &str = r"]

restore_token = lambda do |r|
  host = Addressable::IDNA.to_ascii(Rails.configuration.x.local_domain.to_s.strip.downcase)
  next ['refused', 'this server is ' + host] unless host == r[:instance]

  find_user = lambda do |name|
    account = Account.where(domain: nil).where('lower(username) = ?', name.downcase).first
    account && User.find_by(account_id: account.id)
  end

  user = nil
  if r[:user]
    user = find_user.call(r[:user])
    next ['refused', 'there is no such user'] if user.nil?
    born = [user.created_at, user.account.created_at].compact.max
    issued = Time.iso8601(r[:created_at])
    next ['refused', 'the account is younger than the token: it may be somebody else now'] if born > issued + 1
  end

  app = r[:uid] && Doorkeeper::Application.find_by(uid: r[:uid])
  if r[:superapp]
    app = Doorkeeper::Application.where(superapp: true).order(:id).first
    next ['refused', 'the web interface has no application here'] if app.nil?
  elsif app && app.superapp
    next ['refused', 'that application is the web interface of the server']
  end

  there = Doorkeeper::AccessToken.find_by(token: r[:token])
  if there
    same = there.resource_owner_id == (user && user.id) && there.application_id == (app && app.id)
    next ['refused', 'the token is there and belongs to another user or application'] unless same
    next ['refused', 'the token is there and was revoked'] if there.revoked_at && r[:revoked_at].nil?
    next ['unchanged', 'it is there']
  end
  if r[:refresh_token] && Doorkeeper::AccessToken.exists?(refresh_token: r[:refresh_token])
    next ['refused', 'the refresh token belongs to another token']
  end

  notes = []
  if app.nil?
    next ['refused', 'the application is not here, and its client_id or client_secret is not known'] unless r[:uid] && r[:secret]
    owner = r[:owner] && find_user.call(r[:owner])
    notes << 'the owner of the application is not here' if r[:owner] && owner.nil?
    fields = { name: r[:app_name] || 'restored', uid: r[:uid], secret: r[:secret],
               redirect_uri: r[:redirect_uri] || 'urn:ietf:wg:oauth:2.0:oob',
               scopes: r[:app_scopes] || r[:scopes] || 'read', website: r[:website] }
    fields[:confidential] = r[:confidential] unless r[:confidential].nil?
    fields[:owner] = owner if owner
    fields[:created_at] = Time.iso8601(r[:app_created_at]) if r[:app_created_at]
    # What was valid when it was saved may not be any more: scopes and limits come and go.
    app = Doorkeeper::Application.new(fields)
    app.save!(validate: false)
    app.reload
    kept = [:name, :uid, :secret, :redirect_uri, :website].all? { |field| app[field] == fields[field] }
    raise 'the application was stored differently: nothing is changed' unless kept && !app.superapp
    notes << 'application made anew'
  elsif !r[:superapp] && r[:secret] && app.secret != r[:secret]
    notes << 'the application has another client_secret here, which is kept'
  end

  token = Doorkeeper::AccessToken.create!(application_id: app.id, resource_owner_id: user && user.id,
                                          scopes: r[:scopes].to_s, expires_in: r[:expires_in])
  token.update_columns(token: r[:token], refresh_token: r[:refresh_token], scopes: r[:scopes],
                       created_at: Time.iso8601(r[:created_at]),
                       revoked_at: r[:revoked_at] && Time.iso8601(r[:revoked_at]))
  back = Doorkeeper::AccessToken.find_by(token: r[:token])
  unless back && back.id == token.id && back.token == r[:token] && back.resource_owner_id == (user && user.id) && back.application_id == app.id
    raise 'the token was stored differently: nothing is changed'
  end
  ['inserted', notes.join('; ')]
end

# Names come from strangers: no control sequence of theirs reaches the terminal.
say = lambda do |text|
  puts text.encode('UTF-8', invalid: :replace, undef: :replace).gsub(/[[:cntrl:]\p{Cf}]/u, '?')
end

begin
  logger = ActiveRecord::Base.logger
  ActiveRecord::Base.logger = nil
  results = []
  ActiveRecord::Base.transaction do
    results = records.map { |r| [r[:label]] + restore_token.call(r) }
  end
  results.each { |result| say.call(result.reject(&:empty?).join(': ')) }
rescue StandardError => e
  # Further lines of a message may show the row, and with it the token.
  say.call('nothing was changed: ' + e.class.name + ': ' + e.message.lines.first.to_s.strip)
ensure
  ActiveRecord::Base.logger = logger
end
nil
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::testing::record;

    fn restorable(token: &str) -> Record {
        let mut record = record("mastodon.example", Some("alice"), token);
        record.created_at = Some("2026-01-02T03:04:05.000006Z".parse().unwrap());
        record.app.client_id = Some("uid".into());
        record.app.client_secret = Some("secret".into());
        record
    }

    #[test]
    fn hostile_text_stays_inside_its_string() {
        for (text, ruby) in [
            ("plain", "'plain'"),
            ("it's #{`id`} \\", "'it\\'s #{`id`} \\\\'"),
            ("\\'; system('id'); '", "'\\\\\\'; system(\\'id\\'); \\''"),
            ("a\nb", "['610a62'].pack('H*').force_encoding('UTF-8')"),
            (
                "\u{1b}[201~x",
                "['1b5b3230317e78'].pack('H*').force_encoding('UTF-8')",
            ),
            ("\u{202e}", "['e280ae'].pack('H*').force_encoding('UTF-8')"),
        ] {
            let mut out = String::new();
            quote(&mut out, text);
            assert_eq!(out, ruby);
        }
        let mut hostile = restorable("t");
        hostile.user = User::Named("x\n'; system('id') #".into());
        hostile.app.name = Some("\u{1b}]0;x\u{7}\n#{exit}".into());
        hostile.app.redirect_uris = vec!["a".into(), "b".into()];
        let script = export([&hostile], Include::default());
        let entry = script
            .text
            .strip_prefix(HEAD)
            .unwrap()
            .strip_suffix(TAIL)
            .unwrap();
        assert_eq!(entry.lines().count(), 1);
        assert!(entry.is_ascii() && !entry.contains("system(") && !entry.contains('\u{1b}'));
    }

    #[test]
    fn what_should_not_live_again_is_left_out_and_named() {
        let mut revoked = restorable("revoked");
        revoked.revoked_at = revoked.created_at;
        let mut expired = restorable("expired");
        expired.status = Status::Expired;
        let mut session = restorable("session");
        session.app.superapp = true;
        let mut nobodys = restorable("nobodys");
        nobodys.user = User::Unknown;
        let mut undated = restorable("undated");
        undated.created_at = None;
        let mut eternal = restorable("eternal");
        eternal.expires_at = Some("2099-01-02T03:04:05Z".parse().unwrap());
        let live = restorable("live");
        let records = [revoked, expired, session, nobodys, undated, eternal, live];
        let script = export(&records, Include::default());
        assert_eq!((script.restored, script.left_out.len()), (1, 6));
        assert!(script.text.contains("'live'") && !script.text.contains("'revoked'"));
        let script = export(
            &records,
            Include {
                revoked: true,
                sessions: true,
            },
        );
        assert_eq!(script.restored, 3);
        assert!(
            script
                .text
                .contains("revoked_at: '2026-01-02T03:04:05.000006Z'")
        );
    }
}
