--
-- PostgreSQL database dump
--

\restrict x

-- Started on 2026-01-02 03:04:05 +0130

SET client_encoding = 'UTF8';
CREATE FUNCTION public.f() RETURNS bigint LANGUAGE plpgsql AS $_$
INSERT INTO x VALUES ($1);
$_$;
COPY "a ""b""".other (id, "weird, name") FROM stdin;
1	\\.
\.
COPY public.accounts (id, username, domain) FROM stdin;
-99	m.example	\N
5	alice	\N
6	alice	far.example
\.
COPY public.oauth_access_tokens (id, application_id, created_at, expires_in, refresh_token, resource_owner_id, revoked_at, scopes, token) FROM stdin;
2	1	2026-01-02 03:04:05.678901	3600	\N	7	infinity	read write	second
1	1	0044-03-15 12:00:00 BC	\N	r	\N	2026-01-02 03:04:05	\N	fi\tr\x41\101st
\.
COPY public.oauth_applications (id, name, uid, secret, redirect_uri, superapp, owner_id, owner_type) FROM stdin;
1	t\\oot	u	s	a\nb	t	7	User
\.
COPY public.users (id, account_id, created_at) FROM stdin;
7	5	2026-01-02 03:04:05
\.
--
-- PostgreSQL database dump complete
--
