--
-- PostgreSQL database dump
--

\restrict 7YFhjIGIomV44rGpWPhJh1eT51lDNJvFXSyWuveH6QhIdv2ryoMHKG6rtzqoRlz

-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

-- Started on 2025-12-31 23:00:00 UTC

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- TOC entry 217 (class 1259 OID 16387)
-- Name: accounts; Type: TABLE; Schema: public; Owner: postgres
--

CREATE TABLE public.accounts (
    id bigint DEFAULT public.timestamp_id('accounts'::text) NOT NULL,
    actor_type character varying,
    also_known_as character varying[],
    attribution_domains character varying[] DEFAULT '{}'::character varying[],
    avatar_content_type character varying,
    avatar_description character varying DEFAULT ''::character varying NOT NULL,
    avatar_file_name character varying,
    avatar_file_size integer,
    avatar_remote_url character varying,
    avatar_storage_schema_version integer,
    avatar_updated_at timestamp without time zone,
    collections_url character varying,
    created_at timestamp without time zone NOT NULL,
    discoverable boolean,
    display_name character varying DEFAULT ''::character varying NOT NULL,
    domain character varying,
    feature_approval_policy integer DEFAULT 0 NOT NULL,
    featured_collection_url character varying,
    fields jsonb,
    followers_url character varying DEFAULT ''::character varying NOT NULL,
    following_url character varying DEFAULT ''::character varying NOT NULL,
    header_content_type character varying,
    header_description character varying DEFAULT ''::character varying NOT NULL,
    header_file_name character varying,
    header_file_size integer,
    header_remote_url character varying DEFAULT ''::character varying NOT NULL,
    header_storage_schema_version integer,
    header_updated_at timestamp without time zone,
    hide_collections boolean,
    id_scheme integer DEFAULT 1,
    inbox_url character varying DEFAULT ''::character varying NOT NULL,
    indexable boolean DEFAULT false NOT NULL,
    last_webfingered_at timestamp without time zone,
    locked boolean DEFAULT false NOT NULL,
    memorial boolean DEFAULT false NOT NULL,
    moved_to_account_id bigint,
    note text DEFAULT ''::text NOT NULL,
    outbox_url character varying DEFAULT ''::character varying NOT NULL,
    private_key text,
    protocol integer DEFAULT 0 NOT NULL,
    public_key text DEFAULT ''::text NOT NULL,
    requested_deletion_at timestamp(6) without time zone,
    requested_review_at timestamp without time zone,
    reviewed_at timestamp without time zone,
    sensitized_at timestamp without time zone,
    shared_inbox_url character varying DEFAULT ''::character varying NOT NULL,
    show_featured boolean DEFAULT true NOT NULL,
    show_media boolean DEFAULT true NOT NULL,
    show_media_replies boolean DEFAULT true NOT NULL,
    silenced_at timestamp without time zone,
    suspended_at timestamp without time zone,
    suspension_origin integer,
    trendable boolean,
    updated_at timestamp without time zone NOT NULL,
    uri character varying,
    url character varying,
    username character varying DEFAULT ''::character varying NOT NULL
);


ALTER TABLE public.accounts OWNER TO postgres;

--
-- TOC entry 225 (class 1259 OID 16478)
-- Name: oauth_access_tokens; Type: TABLE; Schema: public; Owner: postgres
--

CREATE TABLE public.oauth_access_tokens (
    id bigint NOT NULL,
    application_id bigint,
    created_at timestamp without time zone NOT NULL,
    expires_in integer,
    last_used_at timestamp without time zone,
    last_used_ip inet,
    refresh_token character varying,
    resource_owner_id bigint,
    revoked_at timestamp without time zone,
    scopes character varying,
    token character varying NOT NULL
);


ALTER TABLE public.oauth_access_tokens OWNER TO postgres;

--
-- TOC entry 224 (class 1259 OID 16477)
-- Name: oauth_access_tokens_id_seq; Type: SEQUENCE; Schema: public; Owner: postgres
--

CREATE SEQUENCE public.oauth_access_tokens_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


ALTER TABLE public.oauth_access_tokens_id_seq OWNER TO postgres;

--
-- TOC entry 3472 (class 0 OID 0)
-- Dependencies: 224
-- Name: oauth_access_tokens_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: postgres
--

ALTER SEQUENCE public.oauth_access_tokens_id_seq OWNED BY public.oauth_access_tokens.id;


--
-- TOC entry 223 (class 1259 OID 16463)
-- Name: oauth_applications; Type: TABLE; Schema: public; Owner: postgres
--

CREATE TABLE public.oauth_applications (
    id bigint NOT NULL,
    confidential boolean DEFAULT true NOT NULL,
    created_at timestamp without time zone,
    name character varying NOT NULL,
    owner_id bigint,
    owner_type character varying,
    redirect_uri text NOT NULL,
    scopes character varying DEFAULT ''::character varying NOT NULL,
    secret character varying NOT NULL,
    superapp boolean DEFAULT false NOT NULL,
    uid character varying NOT NULL,
    updated_at timestamp without time zone,
    website character varying
);


ALTER TABLE public.oauth_applications OWNER TO postgres;

--
-- TOC entry 222 (class 1259 OID 16462)
-- Name: oauth_applications_id_seq; Type: SEQUENCE; Schema: public; Owner: postgres
--

CREATE SEQUENCE public.oauth_applications_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


ALTER TABLE public.oauth_applications_id_seq OWNER TO postgres;

--
-- TOC entry 3473 (class 0 OID 0)
-- Dependencies: 222
-- Name: oauth_applications_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: postgres
--

ALTER SEQUENCE public.oauth_applications_id_seq OWNED BY public.oauth_applications.id;


--
-- TOC entry 231 (class 1259 OID 16513)
-- Name: session_activations; Type: TABLE; Schema: public; Owner: postgres
--

CREATE TABLE public.session_activations (
    id bigint NOT NULL,
    access_token_id bigint,
    created_at timestamp without time zone NOT NULL,
    ip inet,
    session_id character varying NOT NULL,
    updated_at timestamp without time zone NOT NULL,
    user_agent character varying DEFAULT ''::character varying NOT NULL,
    user_id bigint NOT NULL,
    web_push_subscription_id bigint
);


ALTER TABLE public.session_activations OWNER TO postgres;

--
-- TOC entry 230 (class 1259 OID 16512)
-- Name: session_activations_id_seq; Type: SEQUENCE; Schema: public; Owner: postgres
--

CREATE SEQUENCE public.session_activations_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


ALTER TABLE public.session_activations_id_seq OWNER TO postgres;

--
-- TOC entry 3474 (class 0 OID 0)
-- Dependencies: 230
-- Name: session_activations_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: postgres
--

ALTER SEQUENCE public.session_activations_id_seq OWNED BY public.session_activations.id;


--
-- TOC entry 221 (class 1259 OID 16440)
-- Name: users; Type: TABLE; Schema: public; Owner: postgres
--

CREATE TABLE public.users (
    id bigint NOT NULL,
    account_id bigint NOT NULL,
    age_verified_at timestamp(6) without time zone,
    approved boolean DEFAULT true NOT NULL,
    chosen_languages character varying[],
    confirmation_sent_at timestamp without time zone,
    confirmation_token character varying,
    confirmed_at timestamp without time zone,
    consumed_timestep integer,
    created_at timestamp without time zone NOT NULL,
    created_by_application_id bigint,
    current_sign_in_at timestamp without time zone,
    disabled boolean DEFAULT false NOT NULL,
    email character varying DEFAULT ''::character varying NOT NULL,
    encrypted_password character varying DEFAULT ''::character varying NOT NULL,
    invite_id bigint,
    last_emailed_at timestamp without time zone,
    last_sign_in_at timestamp without time zone,
    locale character varying,
    otp_backup_codes character varying[],
    otp_required_for_login boolean DEFAULT false NOT NULL,
    otp_secret character varying,
    require_tos_interstitial boolean DEFAULT false NOT NULL,
    reset_password_sent_at timestamp without time zone,
    reset_password_token character varying,
    role_id bigint,
    settings text,
    sign_in_count integer DEFAULT 0 NOT NULL,
    sign_in_token character varying,
    sign_in_token_sent_at timestamp without time zone,
    sign_up_ip inet,
    skip_sign_in_token boolean,
    time_zone character varying,
    unconfirmed_email character varying,
    updated_at timestamp without time zone NOT NULL,
    webauthn_id character varying
);


ALTER TABLE public.users OWNER TO postgres;

--
-- TOC entry 220 (class 1259 OID 16439)
-- Name: users_id_seq; Type: SEQUENCE; Schema: public; Owner: postgres
--

CREATE SEQUENCE public.users_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


ALTER TABLE public.users_id_seq OWNER TO postgres;

--
-- TOC entry 3475 (class 0 OID 0)
-- Dependencies: 220
-- Name: users_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: postgres
--

ALTER SEQUENCE public.users_id_seq OWNED BY public.users.id;


--
-- TOC entry 3272 (class 2604 OID 16481)
-- Name: oauth_access_tokens id; Type: DEFAULT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.oauth_access_tokens ALTER COLUMN id SET DEFAULT nextval('public.oauth_access_tokens_id_seq'::regclass);


--
-- TOC entry 3268 (class 2604 OID 16466)
-- Name: oauth_applications id; Type: DEFAULT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.oauth_applications ALTER COLUMN id SET DEFAULT nextval('public.oauth_applications_id_seq'::regclass);


--
-- TOC entry 3273 (class 2604 OID 16516)
-- Name: session_activations id; Type: DEFAULT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.session_activations ALTER COLUMN id SET DEFAULT nextval('public.session_activations_id_seq'::regclass);


--
-- TOC entry 3260 (class 2604 OID 16443)
-- Name: users id; Type: DEFAULT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.users ALTER COLUMN id SET DEFAULT nextval('public.users_id_seq'::regclass);


--
-- TOC entry 3458 (class 0 OID 16387)
-- Dependencies: 217
-- Data for Name: accounts; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.accounts (id, actor_type, also_known_as, attribution_domains, avatar_content_type, avatar_description, avatar_file_name, avatar_file_size, avatar_remote_url, avatar_storage_schema_version, avatar_updated_at, collections_url, created_at, discoverable, display_name, domain, feature_approval_policy, featured_collection_url, fields, followers_url, following_url, header_content_type, header_description, header_file_name, header_file_size, header_remote_url, header_storage_schema_version, header_updated_at, hide_collections, id_scheme, inbox_url, indexable, last_webfingered_at, locked, memorial, moved_to_account_id, note, outbox_url, private_key, protocol, public_key, requested_deletion_at, requested_review_at, reviewed_at, sensitized_at, shared_inbox_url, show_featured, show_media, show_media_replies, silenced_at, suspended_at, suspension_origin, trendable, updated_at, uri, url, username) FROM stdin;
100000000000000001	\N	\N	{}	\N		\N	\N	\N	\N	\N	\N	2017-12-31 23:59:59.619343	\N	Name 1 🦣	\N	0	\N	\N			\N		\N	\N		\N	\N	\N	1		f	\N	f	f	\N			\N	0		\N	\N	\N	\N		t	t	t	\N	\N	\N	\N	2017-12-31 23:59:59.619343	\N	\N	alice
100000000000000002	\N	\N	{}	\N		\N	\N	\N	\N	\N	\N	2020-10-20 00:19:07.302361	\N	Name 2 🦣	\N	0	\N	\N			\N		\N	\N		\N	\N	\N	1		f	\N	f	f	\N			\N	0		\N	\N	\N	\N		t	t	t	\N	\N	\N	\N	2020-10-20 00:19:07.302361	\N	\N	Bob_2
100000000000000003	\N	\N	{}	\N		\N	\N	\N	\N	\N	\N	2021-12-17 18:13:19.997368	\N	Name 3 🦣	\N	0	\N	\N			\N		\N	\N		\N	\N	\N	1		f	\N	f	f	\N			\N	0		\N	\N	\N	\N		t	t	t	\N	\N	\N	\N	2021-12-17 18:13:19.997368	\N	\N	user_3
100000000000000004	\N	\N	{}	\N		\N	\N	\N	\N	\N	\N	2022-11-07 21:51:48.005548	\N	Name 4 🦣	\N	0	\N	\N			\N		\N	\N		\N	\N	\N	1		f	\N	f	f	\N			\N	0		\N	\N	\N	\N		t	t	t	\N	\N	\N	\N	2022-11-07 21:51:48.005548	\N	\N	user_4
100000000000000005	\N	\N	{}	\N		\N	\N	\N	\N	\N	\N	2023-08-09 00:38:15.118157	\N	Name 5 🦣	\N	0	\N	\N			\N		\N	\N		\N	\N	\N	1		f	\N	f	f	\N			\N	0		\N	\N	\N	\N		t	t	t	\N	\N	\N	\N	2023-08-09 00:38:15.118157	\N	\N	user_5
100000000000000006	\N	\N	{}	\N		\N	\N	\N	\N	\N	\N	2024-04-06 12:39:12.924543	\N	Name 6 🦣	\N	0	\N	\N			\N		\N	\N		\N	\N	\N	1		f	\N	f	f	\N			\N	0		\N	\N	\N	\N		t	t	t	\N	\N	\N	\N	2024-04-06 12:39:12.924543	\N	\N	user_6
100000000000000007	\N	\N	{}	\N		\N	\N	\N	\N	\N	\N	2024-11-10 20:39:10.139512	\N	Name 7 🦣	\N	0	\N	\N			\N		\N	\N		\N	\N	\N	1		f	\N	f	f	\N			\N	0		\N	\N	\N	\N		t	t	t	\N	\N	\N	\N	2024-11-10 20:39:10.139512	\N	\N	user_7
100000000000000008	\N	\N	{}	\N		\N	\N	\N	\N	\N	\N	2025-05-30 15:19:46.313199	\N	Name 8 🦣	\N	0	\N	\N			\N		\N	\N		\N	\N	\N	1		f	\N	f	f	\N			\N	0		\N	\N	\N	\N		t	t	t	\N	\N	\N	\N	2025-05-30 15:19:46.313199	\N	\N	user_8
100000000000000009	\N	\N	{}	\N		\N	\N	\N	\N	\N	\N	2020-01-01 00:00:00	\N		host1.example	0	\N	\N			\N		\N	\N		\N	\N	\N	1		f	\N	f	f	\N			\N	0		\N	\N	\N	\N		t	t	t	\N	\N	\N	\N	2020-01-02 00:00:00	https://host1.example/users/far_1	\N	alice
100000000000000010	\N	\N	{}	\N		\N	\N	\N	\N	\N	\N	2020-01-01 00:00:00	\N		host2.example	0	\N	\N			\N		\N	\N		\N	\N	\N	1		f	\N	f	f	\N			\N	0		\N	\N	\N	\N		t	t	t	\N	\N	\N	\N	2020-01-02 00:00:00	https://host2.example/users/far_2	\N	far_2
100000000000000011	\N	\N	{}	\N		\N	\N	\N	\N	\N	\N	2020-01-01 00:00:00	\N		host3.example	0	\N	\N			\N		\N	\N		\N	\N	\N	1		f	\N	f	f	\N			\N	0		\N	\N	\N	\N		t	t	t	\N	\N	\N	\N	2020-01-02 00:00:00	https://host3.example/users/far_3	\N	far_3
100000000000000012	\N	\N	{}	\N		\N	\N	\N	\N	\N	\N	2020-01-01 00:00:00	\N		host4.example	0	\N	\N			\N		\N	\N		\N	\N	\N	1		f	\N	f	f	\N			\N	0		\N	\N	\N	\N		t	t	t	\N	\N	\N	\N	2020-01-02 00:00:00	https://host4.example/users/far_4	\N	far_4
100000000000000013	\N	\N	{}	\N		\N	\N	\N	\N	\N	\N	2020-01-01 00:00:00	\N		host5.example	0	\N	\N			\N		\N	\N		\N	\N	\N	1		f	\N	f	f	\N			\N	0		\N	\N	\N	\N		t	t	t	\N	\N	\N	\N	2020-01-02 00:00:00	https://host5.example/users/far_5	\N	far_5
100000000000000014	\N	\N	{}	\N		\N	\N	\N	\N	\N	\N	2020-01-01 00:00:00	\N		host6.example	0	\N	\N			\N		\N	\N		\N	\N	\N	1		f	\N	f	f	\N			\N	0		\N	\N	\N	\N		t	t	t	\N	\N	\N	\N	2020-01-02 00:00:00	https://host6.example/users/far_6	\N	far_6
100000000000000015	\N	\N	{}	\N		\N	\N	\N	\N	\N	\N	2020-01-01 00:00:00	\N		host7.example	0	\N	\N			\N		\N	\N		\N	\N	\N	1		f	\N	f	f	\N			\N	0		\N	\N	\N	\N		t	t	t	\N	\N	\N	\N	2020-01-02 00:00:00	https://host7.example/users/far_7	\N	far_7
100000000000000016	\N	\N	{}	\N		\N	\N	\N	\N	\N	\N	2020-01-01 00:00:00	\N		host8.example	0	\N	\N			\N		\N	\N		\N	\N	\N	1		f	\N	f	f	\N			\N	0		\N	\N	\N	\N		t	t	t	\N	\N	\N	\N	2020-01-02 00:00:00	https://host8.example/users/far_8	\N	far_8
-99	Application	\N	{}	\N		\N	\N	\N	\N	\N	\N	2018-01-01 00:00:00	\N		\N	0	\N	\N			\N		\N	\N		\N	\N	\N	1		f	\N	t	f	\N			\N	0		\N	\N	\N	\N		t	t	t	\N	\N	\N	\N	2018-01-01 00:00:00	https://m.example/actor	\N	m.example
\.


--
-- TOC entry 3464 (class 0 OID 16478)
-- Dependencies: 225
-- Data for Name: oauth_access_tokens; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.oauth_access_tokens (id, application_id, created_at, expires_in, last_used_at, last_used_ip, refresh_token, resource_owner_id, revoked_at, scopes, token) FROM stdin;
1	2	2019-08-14 15:17:17.962025	\N	2020-03-26 10:53:43.962025	\N	\N	1	\N	read write follow push	YotJ2W3N6XpDDdT1l3BYmeCalo95NJHktwTK4zpA3AI
2	1	2020-04-15 06:53:05.646071	\N	2020-06-17 01:36:32.646071	\N	\N	1	\N	read write follow	xER0A41FnkDkcUr--nv42un5g0si9ejsHdQ07LYrUS4
3	2	2020-10-20 00:19:08.729918	\N	2022-07-20 22:31:11.729918	\N	\N	1	\N	read write follow	zs6KnOz7bH5-5PM0bV4lRBOL-24zvsYEKhczOk0xgLA
4	1	2021-03-27 06:34:34.437486	\N	2021-10-16 02:14:02.437486	\N	\N	1	\N	read write follow	ovGmijz3urFCRbo05qNItoIqzrSp7HrQSobCyTyhooo
5	2	2021-08-13 16:54:27.310929	\N	\N	\N	\N	1	2021-12-24 03:41:33.310929	profile	9BPkPXT4F4dFway0iydBQ4q53czz7QpN1FGwQZ97qDc
6	2	2021-12-17 18:13:21.193403	\N	2022-12-11 11:14:40.193403	\N	\N	1	\N	profile	ije4PJbxqhfWPV22M97-ntrKHTlY8uroHJS0i-lI5PY
8	1	2022-04-12 16:17:12.856658	\N	2023-07-05 18:50:56.856658	\N	\N	2	\N	read write follow	PmVY0MuX-b0-iiWuRC9-99ld4m5Wtv1p3xC-l-iiFWM
9	3	2022-07-29 13:46:08.666085	\N	2022-08-14 08:01:30.666085	\N	\N	2	2022-08-14 08:01:30.666085	read write follow push	1fo4ofihQAJQkpfBYzNqKIBpeeYZVZL032QGDdo5qb4
10	2	2022-11-07 21:51:50.168749	\N	2024-06-06 00:52:37.168749	\N	B95mKh6TAMK4tmhTkJCBXD7gdNJ6U8Uxesvbuz3LSVk	1	\N	write:statuses	70aiMM-wwIf92Ig7yYmj6qJTQo-fYDMzXgzucXPEKpI
11	1	2023-02-11 18:11:47.192694	\N	\N	\N	\N	1	\N	read write follow	_anwTC3tAXYH1gdwSFs_LrWHLg9INA8sVcW9_P_pNgI
12	3	2023-05-13 22:06:41.313623	86400	2023-12-11 12:09:29.313623	\N	\N	1	\N	read write follow push	f375yaiP0KnETYY-ujrUyROpcfTX3-Y7b4nQtGRPDw4
13	2	2023-08-09 00:38:16.957067	\N	2025-04-21 14:34:02.957067	\N	\N	3	\N	read write follow	7tKISdjOp2MpMspug1aK-PJ8et_MYfXLlRPagRUqnKQ
14	2	2023-10-31 13:43:39.486442	\N	2024-04-24 23:16:24.486442	\N	\N	\N	\N	read write	uaCiomtYYN3aoHnym6ALdNhiL5CnCyjn_WB2YFS7dz4
16	2	2024-01-19 23:04:15.643628	\N	2025-11-20 11:29:51.643628	\N	\N	1	\N	read write follow push	piaHS80FEleoMzC_0DzpNFkkc44kmxokVjCze-2_u8s
17	1	2024-04-06 12:39:14.899486	\N	\N	\N	\N	1	\N	read write follow	mZC4eZHmETx9X4Zv933Hbxz0e-MUO70vXuOOn-KAd5o
18	3	2024-06-20 13:09:06.554095	\N	2025-06-05 00:23:07.554095	\N	\N	2	\N	read:accounts read:statuses write:statuses	NuCiWZ4YqHHUsEA1yNdQ6cI5Sin9sxNjLxQ4jYYNquY
19	1	2024-09-01 06:12:33.962255	\N	2025-03-30 08:41:47.962255	\N	\N	2	\N	read write follow	hgRiBPnKQig3flBnLqzbzQxrsKzdSWw5CgpaMps6n5Q
20	3	2024-11-10 20:39:12.440457	\N	2024-11-24 01:13:22.440457	\N	\N	3	\N	read write follow push	yZn3OK5OYcShwiAhBbqReJxpimdJROh8FEWW1VfI-8Q
21	4	2025-01-18 12:38:51.71326	\N	2025-04-06 06:07:21.71326	198.19.159.224	\N	6	2025-04-06 06:07:21.71326	read write follow	Y5NHxrrxfWeqrEQvfkzFU3MR6EAtSCNztTh6F4LdePk
22	2	2025-03-26 09:48:53.566071	\N	\N	\N	\N	5	\N	read	5I31taH3rQSYN1blYwZSCYyPFMiOY_wevPnbIs3gyL4
24	1	2025-05-30 15:19:48.32926	\N	2025-12-04 00:00:00	198.19.10.242	\N	2	\N	read write follow	PxiPiiNIyRoxDs3H2_33PLGARdFcnme-alQ7QC_elZ0
25	2	2025-08-02 07:59:38.13024	\N	2025-12-04 00:00:00	198.19.237.61	\N	4	\N	read write	_BDCOrsTlfZnLxeUVLH-SHSYsgQyx6F5ORfGOweavbg
26	1	2025-10-03 14:17:34.406793	\N	2025-12-04 00:00:00	198.19.54.128	\N	5	\N	read write follow	_-bpCr4RkvGBDu_ZZQByBYXIg5onpFbIT2JKHPA4oa8
27	1	2025-12-03 12:26:41.839169	\N	2025-12-04 00:00:00	2001:db8:6058::1	\N	6	\N	read write follow	3lNh2BEvDd55U75rF9a3ejsEX0zEx947P0eVwIBMSXI
\.


--
-- TOC entry 3462 (class 0 OID 16463)
-- Dependencies: 223
-- Data for Name: oauth_applications; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.oauth_applications (id, confidential, created_at, name, owner_id, owner_type, redirect_uri, scopes, secret, superapp, uid, updated_at, website) FROM stdin;
1	t	2017-12-31 23:59:59.619343	Web	\N	\N	urn:ietf:wg:oauth:2.0:oob	read write follow push	e8bc163c82eee18733288c7d4ac636db3a6deb013ef2d37b68322be20edc45cc	t	bb82030dbc2bcaba32a90bf2e207a84a856fc5f033b77c480836ab6f77f40f19	2017-12-31 23:59:59.619343	\N
2	t	2017-12-31 23:59:59.619343	Ünïcode "quoted" app; DROP	\N	\N	urn:ietf:wg:oauth:2.0:oob	read write follow push	ad328846aa18b32a335816374511cac1063c704b8c57999e51da9f908290a7a4	f	6ca202c88e549dff68c09bfafbfc60b2fac074debc1e6777e9ba4b6c703ed114	2017-12-31 23:59:59.619343	https://app7.example
3	t	2020-10-20 00:19:07.302361	Mastodon for iOS	\N	\N	urn:ietf:wg:oauth:2.0:oob	read write follow push	QSQrn65W-tTm533-M8sY0cP8WD-YjPJe-fLZvg1EC7s	f	AR457-IlkPSjOa0ZzRgPTYVeMv66YC0eyOFUeAg4yZw	2020-10-20 00:19:07.302361	\N
4	t	2021-12-17 18:13:19.997368	Fedilab	\N	\N	mastodon://joinmastodon.org/oauth	read write follow push	W4QBV-foau87P9D8JPOt000-fyEDcNQpR17RvNPn_KI	f	6cmBpHmYYhW6sL9sMu_voUhSU0sTjDUJ2Dae3VEDY9o	2021-12-17 18:13:19.997368	https://app8.example
5	t	2022-11-07 21:51:48.005548	Phanpy	\N	\N	mastodon://joinmastodon.org/oauth	read write follow push	O5b8Bk-odKgKEyvaYL6_VO-8eAo1j9yuT7vX4StmtjA	f	WFCgPoAf-xCNoRYOM3OXlEMAS55nCt3zMADcqQRfpBM	2022-11-07 21:51:48.005548	https://app6.example
6	t	2023-08-09 00:38:15.118157	Mastodon for iOS	\N	\N	oauth2redirect://com.keylesspalace.tusky/	read write follow push	cedpCVkjnKBlhB66PrsoEHK6p4uguzEHm5rLSgCan-M	f	cepfW5YhmMXQUydl5-ks3QUZRWuz1zUpflNdyrF7-E0	2023-08-09 00:38:15.118157	\N
7	t	2024-04-06 12:39:12.924543	Mastodon for iOS	\N	\N	mastodon-android-auth://callback	read write follow push	E9KP7ZvsvmY372sBf77-9zsrkH4l6wA5b3wmdWI-h_Y	f	6BgAAPpn6CQEOqUixnQ95X28XeHTnVSDrLYYtpmp3QA	2024-04-06 12:39:12.924543	https://app0.example
8	t	2024-11-10 20:39:10.139512	toot - a Mastodon CLI client	\N	\N	oauth2redirect://com.keylesspalace.tusky/	read write follow push	HLdje2lXrF1vbN7HRVVK_TzRU3u256jnTUHC6li4npc	f	yJlRokxsoowT_Rz9xkaytlbWnmGpK5ECO-frWOuRS2s	2024-11-10 20:39:10.139512	https://app7.example
\.


--
-- TOC entry 3466 (class 0 OID 16513)
-- Dependencies: 231
-- Data for Name: session_activations; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.session_activations (id, access_token_id, created_at, ip, session_id, updated_at, user_agent, user_id, web_push_subscription_id) FROM stdin;
1	2	2020-04-15 06:53:05.646071	\N	c09f7bb27a6729a96caa22f153a67faf	2020-04-15 06:53:05.646071	Mozilla/5.0	1	\N
2	4	2021-03-27 06:34:34.437486	\N	73303e0e26d0e3289d62fc08823106bb	2021-03-27 06:34:34.437486	Mozilla/5.0	1	\N
3	8	2022-04-12 16:17:12.856658	\N	250a760f888aa76e2306673fd6c0a47a	2022-04-12 16:17:12.856658	Mozilla/5.0	2	\N
4	11	2023-02-11 18:11:47.192694	\N	395c306332397a21dde2f1f591c5cb5e	2023-02-11 18:11:47.192694	Mozilla/5.0	1	\N
5	17	2024-04-06 12:39:14.899486	\N	e5758f0745f25a5c58aee1aadf935959	2024-04-06 12:39:14.899486	Mozilla/5.0	1	\N
6	19	2024-09-01 06:12:33.962255	\N	5dabb90f15ecc602880f3fa67f1e74f4	2024-09-01 06:12:33.962255	Mozilla/5.0	2	\N
7	24	2025-05-30 15:19:48.32926	\N	9c123bfa35f78c1093b98fb9f7e1f6f1	2025-05-30 15:19:48.32926	Mozilla/5.0	2	\N
8	26	2025-10-03 14:17:34.406793	\N	fb10c282c2b81aa59f0b0fee8331b10a	2025-10-03 14:17:34.406793	Mozilla/5.0	5	\N
9	27	2025-12-03 12:26:41.839169	\N	13961987cee47027364ea5564fc9f8b2	2025-12-03 12:26:41.839169	Mozilla/5.0	6	\N
\.


--
-- TOC entry 3460 (class 0 OID 16440)
-- Dependencies: 221
-- Data for Name: users; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.users (id, account_id, age_verified_at, approved, chosen_languages, confirmation_sent_at, confirmation_token, confirmed_at, consumed_timestep, created_at, created_by_application_id, current_sign_in_at, disabled, email, encrypted_password, invite_id, last_emailed_at, last_sign_in_at, locale, otp_backup_codes, otp_required_for_login, otp_secret, require_tos_interstitial, reset_password_sent_at, reset_password_token, role_id, settings, sign_in_count, sign_in_token, sign_in_token_sent_at, sign_up_ip, skip_sign_in_token, time_zone, unconfirmed_email, updated_at, webauthn_id) FROM stdin;
1	100000000000000001	\N	t	\N	\N	\N	2017-12-31 23:59:59.619343	\N	2017-12-31 23:59:59.619343	\N	\N	f	user_1@mail1.example	$2a$10$9kVR_NbweCPLh5cc-5FEZCXaGChrOrHvk14MvXpp9oo0123456789	\N	\N	\N	de	\N	f	\N	f	\N	\N	\N	\N	0	\N	\N	\N	\N	\N	\N	2017-12-31 23:59:59.619343	\N
2	100000000000000002	\N	t	\N	\N	\N	2020-10-20 00:19:07.302361	\N	2020-10-20 00:19:07.302361	\N	\N	f	user_2@mail2.example	$2a$10$OUbKZP942TymEJCkN8u2s9LKDUiPX5zPMFlgg2iydpM0123456789	\N	\N	\N	fr	\N	f	\N	f	\N	\N	\N	\N	0	\N	\N	\N	\N	\N	\N	2020-10-20 00:19:07.302361	\N
3	100000000000000003	\N	t	\N	\N	\N	2021-12-17 18:13:19.997368	\N	2021-12-17 18:13:19.997368	\N	\N	f	user_3@mail3.example	$2a$10$Q7sA0M53kKU7kSVrNwyIeyR5GlU5pvv7cMWHDoyRrl00123456789	\N	\N	\N	ja	\N	f	\N	f	\N	\N	\N	\N	0	\N	\N	\N	\N	\N	\N	2021-12-17 18:13:19.997368	\N
4	100000000000000004	\N	t	\N	\N	\N	2022-11-07 21:51:48.005548	\N	2022-11-07 21:51:48.005548	\N	\N	f	user_4@mail4.example	$2a$10$q3H8TIocTWK5ICs27nwH3TmKCQejcDe9jDlZ1q9XNgg0123456789	\N	\N	\N	es	\N	f	\N	f	\N	\N	\N	\N	0	\N	\N	\N	\N	\N	\N	2022-11-07 21:51:48.005548	\N
5	100000000000000005	\N	t	\N	\N	\N	2023-08-09 00:38:15.118157	\N	2023-08-09 00:38:15.118157	\N	\N	f	user_5@mail5.example	$2a$10$U2w1GuFeX149w3vMXeqKtkHnD8BDGgiKHWhK7y6_Pls0123456789	\N	\N	\N	en	\N	f	\N	f	\N	\N	\N	\N	0	\N	\N	\N	\N	\N	\N	2023-08-09 00:38:15.118157	\N
6	100000000000000006	\N	t	\N	\N	\N	2024-04-06 12:39:12.924543	\N	2024-04-06 12:39:12.924543	\N	\N	f	user_6@mail6.example	$2a$10$fQh6LiEsEQ6FHHtv3ChTpB59sWkL7vepwRs6Ju536FM0123456789	\N	\N	\N	de	\N	f	\N	f	\N	\N	\N	\N	0	\N	\N	\N	\N	\N	\N	2024-04-06 12:39:12.924543	\N
7	100000000000000007	\N	t	\N	\N	\N	2024-11-10 20:39:10.139512	\N	2024-11-10 20:39:10.139512	\N	\N	f	user_7@mail7.example	$2a$10$A_vTbAWFa8pZawvLRGb08w8BGaQb4rn86_px1oF4sRY0123456789	\N	\N	\N	fr	\N	f	\N	f	\N	\N	\N	\N	0	\N	\N	\N	\N	\N	\N	2024-11-10 20:39:10.139512	\N
8	100000000000000008	\N	t	\N	\N	\N	2025-05-30 15:19:46.313199	\N	2025-05-30 15:19:46.313199	\N	\N	f	user_8@mail8.example	$2a$10$m4XAgo3PvIg3JvwgDJh7qpgm2mumo1hkOmmlLYaY1y40123456789	\N	\N	\N	ja	\N	f	\N	f	\N	\N	\N	\N	0	\N	\N	\N	\N	\N	\N	2025-05-30 15:19:46.313199	\N
\.


--
-- TOC entry 3476 (class 0 OID 0)
-- Dependencies: 224
-- Name: oauth_access_tokens_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public.oauth_access_tokens_id_seq', 27, true);


--
-- TOC entry 3477 (class 0 OID 0)
-- Dependencies: 222
-- Name: oauth_applications_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public.oauth_applications_id_seq', 8, true);


--
-- TOC entry 3478 (class 0 OID 0)
-- Dependencies: 230
-- Name: session_activations_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public.session_activations_id_seq', 9, true);


--
-- TOC entry 3479 (class 0 OID 0)
-- Dependencies: 220
-- Name: users_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public.users_id_seq', 8, true);


--
-- TOC entry 3276 (class 2606 OID 16416)
-- Name: accounts accounts_pkey; Type: CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (id);


--
-- TOC entry 3301 (class 2606 OID 16485)
-- Name: oauth_access_tokens oauth_access_tokens_pkey; Type: CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.oauth_access_tokens
    ADD CONSTRAINT oauth_access_tokens_pkey PRIMARY KEY (id);


--
-- TOC entry 3296 (class 2606 OID 16473)
-- Name: oauth_applications oauth_applications_pkey; Type: CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.oauth_applications
    ADD CONSTRAINT oauth_applications_pkey PRIMARY KEY (id);


--
-- TOC entry 3306 (class 2606 OID 16521)
-- Name: session_activations session_activations_pkey; Type: CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.session_activations
    ADD CONSTRAINT session_activations_pkey PRIMARY KEY (id);


--
-- TOC entry 3291 (class 2606 OID 16454)
-- Name: users users_pkey; Type: CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);


--
-- TOC entry 3277 (class 1259 OID 16419)
-- Name: index_accounts_on_domain_and_id; Type: INDEX; Schema: public; Owner: postgres
--

CREATE INDEX index_accounts_on_domain_and_id ON public.accounts USING btree (domain, id);


--
-- TOC entry 3278 (class 1259 OID 16420)
-- Name: index_accounts_on_moved_to_account_id; Type: INDEX; Schema: public; Owner: postgres
--

CREATE INDEX index_accounts_on_moved_to_account_id ON public.accounts USING btree (moved_to_account_id) WHERE (moved_to_account_id IS NOT NULL);


--
-- TOC entry 3279 (class 1259 OID 16421)
-- Name: index_accounts_on_uri; Type: INDEX; Schema: public; Owner: postgres
--

CREATE UNIQUE INDEX index_accounts_on_uri ON public.accounts USING btree (uri);


--
-- TOC entry 3280 (class 1259 OID 16422)
-- Name: index_accounts_on_url; Type: INDEX; Schema: public; Owner: postgres
--

CREATE INDEX index_accounts_on_url ON public.accounts USING btree (url text_pattern_ops) WHERE (url IS NOT NULL);


--
-- TOC entry 3281 (class 1259 OID 16418)
-- Name: index_accounts_on_username_and_domain_lower; Type: INDEX; Schema: public; Owner: postgres
--

CREATE UNIQUE INDEX index_accounts_on_username_and_domain_lower ON public.accounts USING btree (lower((username)::text), COALESCE(lower((domain)::text), ''::text));


--
-- TOC entry 3297 (class 1259 OID 16486)
-- Name: index_oauth_access_tokens_on_refresh_token; Type: INDEX; Schema: public; Owner: postgres
--

CREATE UNIQUE INDEX index_oauth_access_tokens_on_refresh_token ON public.oauth_access_tokens USING btree (refresh_token text_pattern_ops) WHERE (refresh_token IS NOT NULL);


--
-- TOC entry 3298 (class 1259 OID 16487)
-- Name: index_oauth_access_tokens_on_resource_owner_id; Type: INDEX; Schema: public; Owner: postgres
--

CREATE INDEX index_oauth_access_tokens_on_resource_owner_id ON public.oauth_access_tokens USING btree (resource_owner_id) WHERE (resource_owner_id IS NOT NULL);


--
-- TOC entry 3299 (class 1259 OID 16488)
-- Name: index_oauth_access_tokens_on_token; Type: INDEX; Schema: public; Owner: postgres
--

CREATE UNIQUE INDEX index_oauth_access_tokens_on_token ON public.oauth_access_tokens USING btree (token);


--
-- TOC entry 3292 (class 1259 OID 16474)
-- Name: index_oauth_applications_on_owner_id_and_owner_type; Type: INDEX; Schema: public; Owner: postgres
--

CREATE INDEX index_oauth_applications_on_owner_id_and_owner_type ON public.oauth_applications USING btree (owner_id, owner_type);


--
-- TOC entry 3293 (class 1259 OID 16475)
-- Name: index_oauth_applications_on_superapp; Type: INDEX; Schema: public; Owner: postgres
--

CREATE INDEX index_oauth_applications_on_superapp ON public.oauth_applications USING btree (superapp) WHERE (superapp = true);


--
-- TOC entry 3294 (class 1259 OID 16476)
-- Name: index_oauth_applications_on_uid; Type: INDEX; Schema: public; Owner: postgres
--

CREATE UNIQUE INDEX index_oauth_applications_on_uid ON public.oauth_applications USING btree (uid);


--
-- TOC entry 3302 (class 1259 OID 16522)
-- Name: index_session_activations_on_access_token_id; Type: INDEX; Schema: public; Owner: postgres
--

CREATE INDEX index_session_activations_on_access_token_id ON public.session_activations USING btree (access_token_id);


--
-- TOC entry 3303 (class 1259 OID 16523)
-- Name: index_session_activations_on_session_id; Type: INDEX; Schema: public; Owner: postgres
--

CREATE UNIQUE INDEX index_session_activations_on_session_id ON public.session_activations USING btree (session_id);


--
-- TOC entry 3304 (class 1259 OID 16524)
-- Name: index_session_activations_on_user_id; Type: INDEX; Schema: public; Owner: postgres
--

CREATE INDEX index_session_activations_on_user_id ON public.session_activations USING btree (user_id);


--
-- TOC entry 3283 (class 1259 OID 16455)
-- Name: index_users_on_account_id; Type: INDEX; Schema: public; Owner: postgres
--

CREATE INDEX index_users_on_account_id ON public.users USING btree (account_id);


--
-- TOC entry 3284 (class 1259 OID 16456)
-- Name: index_users_on_confirmation_token; Type: INDEX; Schema: public; Owner: postgres
--

CREATE UNIQUE INDEX index_users_on_confirmation_token ON public.users USING btree (confirmation_token);


--
-- TOC entry 3285 (class 1259 OID 16457)
-- Name: index_users_on_created_by_application_id; Type: INDEX; Schema: public; Owner: postgres
--

CREATE INDEX index_users_on_created_by_application_id ON public.users USING btree (created_by_application_id) WHERE (created_by_application_id IS NOT NULL);


--
-- TOC entry 3286 (class 1259 OID 16458)
-- Name: index_users_on_email; Type: INDEX; Schema: public; Owner: postgres
--

CREATE UNIQUE INDEX index_users_on_email ON public.users USING btree (email);


--
-- TOC entry 3287 (class 1259 OID 16459)
-- Name: index_users_on_reset_password_token; Type: INDEX; Schema: public; Owner: postgres
--

CREATE UNIQUE INDEX index_users_on_reset_password_token ON public.users USING btree (reset_password_token text_pattern_ops) WHERE (reset_password_token IS NOT NULL);


--
-- TOC entry 3288 (class 1259 OID 16460)
-- Name: index_users_on_role_id; Type: INDEX; Schema: public; Owner: postgres
--

CREATE INDEX index_users_on_role_id ON public.users USING btree (role_id) WHERE (role_id IS NOT NULL);


--
-- TOC entry 3289 (class 1259 OID 16461)
-- Name: index_users_on_unconfirmed_email; Type: INDEX; Schema: public; Owner: postgres
--

CREATE INDEX index_users_on_unconfirmed_email ON public.users USING btree (unconfirmed_email) WHERE (unconfirmed_email IS NOT NULL);


--
-- TOC entry 3282 (class 1259 OID 16417)
-- Name: search_index; Type: INDEX; Schema: public; Owner: postgres
--

CREATE INDEX search_index ON public.accounts USING gin ((((setweight(to_tsvector('simple'::regconfig, (display_name)::text), 'A'::"char") || setweight(to_tsvector('simple'::regconfig, (username)::text), 'B'::"char")) || setweight(to_tsvector('simple'::regconfig, (COALESCE(domain, ''::character varying))::text), 'C'::"char"))));


--
-- TOC entry 3308 (class 2606 OID 16580)
-- Name: users fk_50500f500d; Type: FK CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.users
    ADD CONSTRAINT fk_50500f500d FOREIGN KEY (account_id) REFERENCES public.accounts(id) ON DELETE CASCADE;


--
-- TOC entry 3314 (class 2606 OID 16570)
-- Name: session_activations fk_957e5bda89; Type: FK CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.session_activations
    ADD CONSTRAINT fk_957e5bda89 FOREIGN KEY (access_token_id) REFERENCES public.oauth_access_tokens(id) ON DELETE CASCADE;


--
-- TOC entry 3311 (class 2606 OID 16565)
-- Name: oauth_applications fk_b0988c7c0a; Type: FK CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.oauth_applications
    ADD CONSTRAINT fk_b0988c7c0a FOREIGN KEY (owner_id) REFERENCES public.users(id) ON DELETE CASCADE;


--
-- TOC entry 3315 (class 2606 OID 16575)
-- Name: session_activations fk_e5fda67334; Type: FK CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.session_activations
    ADD CONSTRAINT fk_e5fda67334 FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;


--
-- TOC entry 3312 (class 2606 OID 16560)
-- Name: oauth_access_tokens fk_e84df68546; Type: FK CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.oauth_access_tokens
    ADD CONSTRAINT fk_e84df68546 FOREIGN KEY (resource_owner_id) REFERENCES public.users(id) ON DELETE CASCADE;


--
-- TOC entry 3313 (class 2606 OID 16555)
-- Name: oauth_access_tokens fk_f5fc4c1ee3; Type: FK CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.oauth_access_tokens
    ADD CONSTRAINT fk_f5fc4c1ee3 FOREIGN KEY (application_id) REFERENCES public.oauth_applications(id) ON DELETE CASCADE;


--
-- TOC entry 3307 (class 2606 OID 16535)
-- Name: accounts fk_rails_2320833084; Type: FK CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT fk_rails_2320833084 FOREIGN KEY (moved_to_account_id) REFERENCES public.accounts(id) ON DELETE SET NULL;


--
-- TOC entry 3309 (class 2606 OID 16590)
-- Name: users fk_rails_642f17018b; Type: FK CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.users
    ADD CONSTRAINT fk_rails_642f17018b FOREIGN KEY (role_id) REFERENCES public.user_roles(id) ON DELETE SET NULL;


--
-- TOC entry 3310 (class 2606 OID 16585)
-- Name: users fk_rails_ecc9536e7c; Type: FK CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public.users
    ADD CONSTRAINT fk_rails_ecc9536e7c FOREIGN KEY (created_by_application_id) REFERENCES public.oauth_applications(id) ON DELETE SET NULL;


-- Completed on 2025-12-31 23:00:07 UTC

--
-- PostgreSQL database dump complete
--

\unrestrict 7YFhjIGIomV44rGpWPhJh1eT51lDNJvFXSyWuveH6QhIdv2ryoMHKG6rtzqoRlz

