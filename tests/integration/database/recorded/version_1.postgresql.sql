-- PostgreSQL of memleash's own tables, with rows in each, as the code of commit 0d6508c made them:
-- the last one without a version of the tables. Recorded with pg_dump --inserts --no-owner.
CREATE TABLE public.memleash_alerts (
    fingerprint character varying(128) NOT NULL,
    starts_at double precision NOT NULL,
    alertname character varying(256) NOT NULL,
    host character varying(256) NOT NULL,
    agent character varying(256) NOT NULL,
    remediation character varying(16),
    status character varying(16) NOT NULL,
    verdict character varying(32),
    first_received_at double precision NOT NULL,
    last_received_at double precision NOT NULL,
    deliveries integer NOT NULL
);
CREATE TABLE public.memleash_diagnoses (
    id character varying(36) NOT NULL,
    host character varying(256) NOT NULL,
    agent character varying(256) NOT NULL,
    requested_at double precision NOT NULL,
    requested_by character varying(256) NOT NULL,
    step character varying(16) NOT NULL,
    life double precision,
    rounds integer,
    interval_seconds double precision,
    pace text NOT NULL,
    verdict character varying(32),
    reason text NOT NULL,
    artifact character varying(64) NOT NULL,
    finished_at double precision
);
CREATE TABLE public.memleash_flags (
    name character varying(64) NOT NULL,
    value text NOT NULL,
    changed_at double precision NOT NULL,
    changed_by character varying(256) NOT NULL
);
CREATE TABLE public.memleash_hosts (
    host character varying(256) NOT NULL,
    state character varying(16) NOT NULL,
    changed_at double precision NOT NULL,
    restart_id character varying(36),
    agent character varying(256),
    drained boolean NOT NULL,
    vouched_by character varying(256),
    attempts integer NOT NULL,
    next_attempt_at double precision
);
CREATE TABLE public.memleash_leases (
    name character varying(64) NOT NULL,
    owner character varying(128) NOT NULL,
    until double precision NOT NULL
);
CREATE TABLE public.memleash_mutes (
    host character varying(256) NOT NULL,
    claimant character varying(300) NOT NULL,
    since double precision NOT NULL,
    until bigint NOT NULL,
    reason text NOT NULL,
    ending boolean NOT NULL
);
CREATE TABLE public.memleash_notifications (
    id integer NOT NULL,
    received_at double precision NOT NULL,
    body bytea NOT NULL
);
CREATE SEQUENCE public.memleash_notifications_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.memleash_notifications_id_seq OWNED BY public.memleash_notifications.id;
CREATE TABLE public.memleash_quarantine (
    host character varying(256) NOT NULL,
    agent character varying(256) NOT NULL,
    since double precision NOT NULL,
    reason text NOT NULL
);
CREATE TABLE public.memleash_replicas (
    executor_id character varying(128) NOT NULL,
    version character varying(64) NOT NULL,
    beat_at double precision NOT NULL
);
CREATE TABLE public.memleash_restarts (
    id character varying(36) NOT NULL,
    host character varying(256) NOT NULL,
    agent character varying(256) NOT NULL,
    requested_at double precision NOT NULL,
    requested_by character varying(256) NOT NULL,
    fingerprint character varying(128),
    alert_started_at double precision,
    forced boolean NOT NULL,
    approval character varying(16),
    approval_by character varying(256),
    resolved boolean NOT NULL,
    step character varying(32) NOT NULL,
    command_sent_at double precision,
    command_sent_boot_id character varying(36),
    command_sent_uptime double precision,
    life_to_end double precision,
    outcome character varying(32),
    reason text NOT NULL,
    finished_at double precision,
    facts json NOT NULL,
    steps json NOT NULL
);
ALTER TABLE ONLY public.memleash_notifications ALTER COLUMN id SET DEFAULT nextval('public.memleash_notifications_id_seq'::regclass);
INSERT INTO public.memleash_alerts VALUES ('f1', 1789999940, 'AgentMemoryHardLimitExceeded', 'node-1', 'zstack-kvmagent', 'restart', 'firing', NULL, 1790000000, 1790000000, 1);
INSERT INTO public.memleash_diagnoses VALUES ('33333333-3333-4333-8333-333333333333', 'node-1', 'zstack-kvmagent', 1789999700, 'alert', 'begin', 1789992800, 5, 300, '5 rounds x 5m: growth unknown', 'diagnosed', '', '20260922T000000Z', 1789999900);
INSERT INTO public.memleash_flags VALUES ('paused', 'maintenance of the rack', 1790000062, 'ann');
INSERT INTO public.memleash_hosts VALUES ('node-4', 'connecting', 1790000021, '44444444-4444-4444-8444-444444444444', 'zstack-kvmagent', true, NULL, 0, NULL);
INSERT INTO public.memleash_hosts VALUES ('node-1', 'disconnected', 1790000060, '11111111-1111-4111-8111-111111111111', 'zstack-kvmagent', true, NULL, 0, 1790000060);
INSERT INTO public.memleash_leases VALUES ('keeper', 'old:1:1', 1795720824.657361);
INSERT INTO public.memleash_mutes VALUES ('node-3', 'busy:zstack-kvmagent', 1790000000, 1790000300, 'zstack-kvmagent is busy', false);
INSERT INTO public.memleash_notifications VALUES (1, 1790000070, '\x7b2276657273696f6e223a202234222c202267726f75704b6579223a202267222c20227265636569766572223a202272222c2022737461747573223a2022666972696e67222c202267726f75704c6162656c73223a207b7d2c2022636f6d6d6f6e4c6162656c73223a207b7d2c2022636f6d6d6f6e416e6e6f746174696f6e73223a207b7d2c202265787465726e616c55524c223a2022222c20227472756e6361746564416c65727473223a20302c2022616c65727473223a205b5d7d');
INSERT INTO public.memleash_quarantine VALUES ('node-1', 'zstack-kvmagent', 1790000061, 'a fresh process holds 9 GiB of the hard limit 10 GiB');
INSERT INTO public.memleash_replicas VALUES ('old:1:1', '1', 1795720804.61276);
INSERT INTO public.memleash_restarts VALUES ('22222222-2222-4222-8222-222222222222', 'node-2', 'zstack-kvmagent', 1790000010, 'ann', NULL, NULL, true, NULL, NULL, false, 'awaiting_approval', NULL, NULL, NULL, NULL, NULL, '', NULL, '{}', '[]');
INSERT INTO public.memleash_restarts VALUES ('44444444-4444-4444-8444-444444444444', 'node-4', 'zstack-kvmagent', 1790000020, 'alert', 'f4', 1790000000, false, NULL, NULL, false, 'verify', NULL, NULL, NULL, NULL, NULL, '', NULL, '{}', '[]');
INSERT INTO public.memleash_restarts VALUES ('11111111-1111-4111-8111-111111111111', 'node-1', 'zstack-kvmagent', 1790000000, 'alert', 'f1', 1789999940, false, NULL, NULL, false, 'hold', 1790000002, '00000000-0000-4000-8000-000000000000', 5000, 1789992800, 'not_ready', 'after 60 probes: nothing answers — é', 1790000060, '{"admit": {"paused": false}}', '[{"step": "admit", "started_at": 1790000000.0, "seconds": 0.1}]');
SELECT pg_catalog.setval('public.memleash_notifications_id_seq', 1, true);
ALTER TABLE ONLY public.memleash_alerts
    ADD CONSTRAINT memleash_alerts_pkey PRIMARY KEY (fingerprint, starts_at);
ALTER TABLE ONLY public.memleash_diagnoses
    ADD CONSTRAINT memleash_diagnoses_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.memleash_flags
    ADD CONSTRAINT memleash_flags_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.memleash_hosts
    ADD CONSTRAINT memleash_hosts_pkey PRIMARY KEY (host);
ALTER TABLE ONLY public.memleash_leases
    ADD CONSTRAINT memleash_leases_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.memleash_mutes
    ADD CONSTRAINT memleash_mutes_pkey PRIMARY KEY (host, claimant);
ALTER TABLE ONLY public.memleash_notifications
    ADD CONSTRAINT memleash_notifications_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.memleash_quarantine
    ADD CONSTRAINT memleash_quarantine_pkey PRIMARY KEY (host, agent);
ALTER TABLE ONLY public.memleash_replicas
    ADD CONSTRAINT memleash_replicas_pkey PRIMARY KEY (executor_id);
ALTER TABLE ONLY public.memleash_restarts
    ADD CONSTRAINT memleash_restarts_pkey PRIMARY KEY (id);
CREATE INDEX ix_memleash_alerts_last_received_at ON public.memleash_alerts USING btree (last_received_at);
CREATE INDEX ix_memleash_diagnoses_finished_at ON public.memleash_diagnoses USING btree (finished_at);
CREATE INDEX ix_memleash_diagnoses_requested_at ON public.memleash_diagnoses USING btree (requested_at);
CREATE INDEX ix_memleash_restarts_finished_at ON public.memleash_restarts USING btree (finished_at);
CREATE INDEX ix_memleash_restarts_requested_at ON public.memleash_restarts USING btree (requested_at);
CREATE INDEX memleash_diagnoses_of_agent ON public.memleash_diagnoses USING btree (host, agent, requested_at);
CREATE UNIQUE INDEX memleash_one_diagnosis_a_host ON public.memleash_diagnoses USING btree (host) WHERE (verdict IS NULL);
CREATE UNIQUE INDEX memleash_one_restart_at_a_time ON public.memleash_restarts USING btree (host, agent) WHERE (outcome IS NULL);
CREATE INDEX memleash_restarts_of_agent ON public.memleash_restarts USING btree (host, agent, requested_at);
CREATE INDEX memleash_restarts_of_alert ON public.memleash_restarts USING btree (fingerprint, alert_started_at);
