CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.commitment_reports (
    transaction_uid character varying(64) NOT NULL,
    calling_ae_title character varying(16) NOT NULL,
    committed json NOT NULL,
    failed json NOT NULL,
    received_at timestamp with time zone NOT NULL
);
CREATE TABLE public.handover_batches (
    id character varying(64) NOT NULL,
    job_id character varying(64) NOT NULL,
    study_instance_uid character varying(64) NOT NULL,
    state character varying(16) NOT NULL,
    objects integer NOT NULL,
    attempts integer NOT NULL,
    created_at timestamp with time zone NOT NULL,
    last_added_at timestamp with time zone NOT NULL,
    due_at timestamp with time zone NOT NULL,
    tried_at timestamp with time zone,
    ended_at timestamp with time zone,
    reason character varying(64) NOT NULL,
    detail text NOT NULL
);
CREATE TABLE public.handover_marks (
    id integer NOT NULL,
    received_until timestamp with time zone NOT NULL
);
CREATE TABLE public.handover_objects (
    sop_instance_uid character varying(64) NOT NULL,
    sha256 character varying(64) NOT NULL,
    batch_id character varying(64) NOT NULL,
    study_instance_uid character varying(64) NOT NULL,
    series_instance_uid character varying(64) NOT NULL,
    sop_class_uid character varying(64) NOT NULL,
    path text NOT NULL,
    size_bytes bigint NOT NULL
);
CREATE TABLE public.node_budgets (
    node_id integer NOT NULL,
    tokens double precision NOT NULL,
    tokens_at timestamp with time zone NOT NULL,
    slowed_to integer,
    slowed_at timestamp with time zone
);
CREATE TABLE public.node_checks (
    node_id integer NOT NULL,
    ok boolean NOT NULL,
    outcome character varying(64) NOT NULL,
    detail text NOT NULL,
    rtt_ms double precision,
    checked_at timestamp with time zone NOT NULL
);
CREATE TABLE public.node_leases (
    id integer NOT NULL,
    token character varying(64) NOT NULL,
    node_id integer NOT NULL,
    held boolean NOT NULL,
    worker character varying(128) NOT NULL,
    until timestamp with time zone NOT NULL
);
CREATE SEQUENCE public.node_leases_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.node_leases_id_seq OWNED BY public.node_leases.id;
CREATE TABLE public.node_profiles (
    node_id integer NOT NULL,
    address text NOT NULL,
    data json NOT NULL,
    updated_at timestamp with time zone NOT NULL
);
CREATE TABLE public.nodes (
    id integer NOT NULL,
    kind character varying(8) NOT NULL,
    name character varying(64) NOT NULL,
    host character varying(255) NOT NULL,
    port integer NOT NULL,
    ae_title character varying(16) NOT NULL,
    calling_ae_title character varying(16) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    removed_at timestamp with time zone,
    max_associations integer DEFAULT 4 NOT NULL,
    requests_per_minute integer,
    hours character varying(200) DEFAULT ''::character varying NOT NULL,
    time_zone character varying(64) DEFAULT ''::character varying NOT NULL,
    retrieve_by character varying(8) DEFAULT 'move'::character varying NOT NULL,
    verify_by character varying(16) DEFAULT 'auto'::character varying NOT NULL,
    CONSTRAINT ck_nodes_kind CHECK (((kind)::text = ANY ((ARRAY['remote'::character varying, 'store'::character varying])::text[]))),
    CONSTRAINT ck_nodes_port CHECK (((port >= 1) AND (port <= 65535)))
);
CREATE SEQUENCE public.nodes_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.nodes_id_seq OWNED BY public.nodes.id;
CREATE TABLE public.queries (
    criteria json NOT NULL,
    rules_version integer NOT NULL,
    today date NOT NULL,
    retrieve_after boolean NOT NULL,
    slices_total integer NOT NULL,
    slices_complete integer NOT NULL,
    slices_failed integer NOT NULL,
    studies_found integer NOT NULL,
    studies_examined integer NOT NULL,
    studies_kept integer NOT NULL,
    studies_missing integer NOT NULL,
    objects_kept integer NOT NULL,
    finds integer NOT NULL,
    id character varying(64) NOT NULL,
    status character varying(16) NOT NULL,
    remote_id integer NOT NULL,
    remote_name character varying(64) NOT NULL,
    store_id integer NOT NULL,
    store_name character varying(64) NOT NULL,
    requested_by character varying(128) NOT NULL,
    requested_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    announced_at timestamp with time zone,
    progress_at timestamp with time zone,
    failure character varying(64) NOT NULL,
    detail text NOT NULL,
    note text NOT NULL,
    priority character varying(16) DEFAULT 'interactive'::character varying NOT NULL,
    round integer DEFAULT 0 NOT NULL,
    asked_again json
);
CREATE TABLE public.query_finds (
    id integer NOT NULL,
    job_id character varying(64) NOT NULL,
    task_id integer NOT NULL,
    level character varying(8) NOT NULL,
    keys json NOT NULL,
    status_code integer,
    matches integer NOT NULL,
    duration_ms integer NOT NULL,
    error character varying(64) NOT NULL,
    asked_at timestamp with time zone NOT NULL
);
CREATE SEQUENCE public.query_finds_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.query_finds_id_seq OWNED BY public.query_finds.id;
CREATE TABLE public.query_objects (
    job_id character varying(64) NOT NULL,
    study_instance_uid character varying(64) NOT NULL,
    series_instance_uid character varying(64) NOT NULL,
    sop_instance_uid character varying(64) NOT NULL,
    sop_class_uid character varying(64),
    decision character varying(8) NOT NULL,
    reason character varying(64) NOT NULL
);
CREATE TABLE public.query_series (
    job_id character varying(64) NOT NULL,
    study_instance_uid character varying(64) NOT NULL,
    series_instance_uid character varying(64) NOT NULL,
    modality character varying(64),
    description text,
    station_name text,
    series_number integer,
    instance_count integer,
    decision character varying(8) NOT NULL,
    reason character varying(64) NOT NULL,
    note character varying(64) NOT NULL,
    whole boolean NOT NULL
);
CREATE TABLE public.query_studies (
    job_id character varying(64) NOT NULL,
    study_instance_uid character varying(64) NOT NULL,
    state character varying(16) NOT NULL,
    found_by integer,
    task_id integer,
    type character varying(8),
    decision character varying(8) NOT NULL,
    reason character varying(64) NOT NULL,
    note character varying(64) NOT NULL,
    modalities json,
    description text,
    station_name text,
    study_date character varying(16),
    study_time character varying(32),
    accession_number text,
    series_count integer,
    instance_count integer,
    detail text NOT NULL
);
CREATE TABLE public.query_tasks (
    job_id character varying(64) NOT NULL,
    parent_id integer,
    id integer NOT NULL,
    kind character varying(16) NOT NULL,
    state character varying(16) NOT NULL,
    payload json NOT NULL,
    created_at timestamp with time zone NOT NULL,
    due_at timestamp with time zone NOT NULL,
    queued_at timestamp with time zone,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    worker character varying(128) NOT NULL,
    claim_token character varying(64) NOT NULL,
    lease_until timestamp with time zone,
    starts integer NOT NULL,
    failures integer NOT NULL,
    failing_since timestamp with time zone,
    error character varying(64) NOT NULL,
    detail text NOT NULL
);
CREATE SEQUENCE public.query_tasks_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.query_tasks_id_seq OWNED BY public.query_tasks.id;
CREATE TABLE public.report_summaries (
    sop_instance_uid character varying(64) NOT NULL,
    unreadable character varying(32) NOT NULL,
    summary json,
    read_at timestamp with time zone NOT NULL
);
CREATE TABLE public.retrieve_commitments (
    transaction_uid character varying(64) NOT NULL,
    job_id character varying(64) NOT NULL,
    task_id integer NOT NULL,
    state character varying(16) NOT NULL,
    objects integer NOT NULL,
    committed integer NOT NULL,
    failed integer NOT NULL,
    asked_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    detail text NOT NULL
);
CREATE TABLE public.retrieve_moves (
    id integer NOT NULL,
    job_id character varying(64) NOT NULL,
    task_id integer NOT NULL,
    level character varying(8) NOT NULL,
    keys json NOT NULL,
    status_code integer,
    completed integer,
    warning integer,
    failed integer,
    duration_ms integer NOT NULL,
    error character varying(64) NOT NULL,
    asked_at timestamp with time zone NOT NULL
);
CREATE SEQUENCE public.retrieve_moves_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.retrieve_moves_id_seq OWNED BY public.retrieve_moves.id;
CREATE TABLE public.retrieve_objects (
    job_id character varying(64) NOT NULL,
    study_instance_uid character varying(64) NOT NULL,
    series_instance_uid character varying(64) NOT NULL,
    sop_instance_uid character varying(64) NOT NULL,
    state character varying(16) NOT NULL,
    asked integer NOT NULL,
    task_id integer,
    announced integer,
    arrived_at timestamp with time zone,
    reason character varying(64) NOT NULL,
    detail text NOT NULL,
    sop_class_uid character varying(64) DEFAULT ''::character varying NOT NULL,
    committed_in character varying(64) DEFAULT ''::character varying NOT NULL
);
CREATE TABLE public.retrieve_tasks (
    job_id character varying(64) NOT NULL,
    id integer NOT NULL,
    kind character varying(16) NOT NULL,
    state character varying(16) NOT NULL,
    payload json NOT NULL,
    created_at timestamp with time zone NOT NULL,
    due_at timestamp with time zone NOT NULL,
    queued_at timestamp with time zone,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    worker character varying(128) NOT NULL,
    claim_token character varying(64) NOT NULL,
    lease_until timestamp with time zone,
    starts integer NOT NULL,
    failures integer NOT NULL,
    failing_since timestamp with time zone,
    error character varying(64) NOT NULL,
    detail text NOT NULL
);
CREATE SEQUENCE public.retrieve_tasks_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.retrieve_tasks_id_seq OWNED BY public.retrieve_tasks.id;
CREATE TABLE public.retrieves (
    query_id character varying(64) NOT NULL,
    selection json NOT NULL,
    verification character varying(16) NOT NULL,
    asked integer NOT NULL,
    arrived integer NOT NULL,
    reported_completed integer NOT NULL,
    reported_warning integer NOT NULL,
    reported_failed integer NOT NULL,
    id character varying(64) NOT NULL,
    status character varying(16) NOT NULL,
    remote_id integer NOT NULL,
    remote_name character varying(64) NOT NULL,
    store_id integer NOT NULL,
    store_name character varying(64) NOT NULL,
    requested_by character varying(128) NOT NULL,
    requested_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    ended_at timestamp with time zone,
    announced_at timestamp with time zone,
    progress_at timestamp with time zone,
    failure character varying(64) NOT NULL,
    detail text NOT NULL,
    note text NOT NULL,
    priority character varying(16) DEFAULT 'interactive'::character varying NOT NULL,
    round integer DEFAULT 0 NOT NULL,
    asked_again json
);
CREATE TABLE public.stored_objects (
    sop_instance_uid character varying(64) NOT NULL,
    series_instance_uid character varying(64) NOT NULL,
    study_instance_uid character varying(64) NOT NULL,
    sop_class_uid character varying(64) NOT NULL,
    transfer_syntax_uid character varying(64) NOT NULL,
    source character varying(16) NOT NULL,
    path text NOT NULL,
    size_bytes bigint NOT NULL,
    sha256 character varying(64) NOT NULL,
    calling_ae_title character varying(16) NOT NULL,
    received_at timestamp with time zone NOT NULL,
    last_received_at timestamp with time zone NOT NULL,
    received_count integer NOT NULL,
    conflicts integer NOT NULL,
    announced_at timestamp with time zone
);
CREATE TABLE public.users (
    id integer NOT NULL,
    name character varying(64) NOT NULL,
    role character varying(16) NOT NULL,
    password_hash text NOT NULL,
    must_change_password boolean NOT NULL,
    session_token character varying(64) NOT NULL,
    created_at timestamp with time zone NOT NULL,
    last_login_at timestamp with time zone,
    disabled_at timestamp with time zone,
    CONSTRAINT ck_users_role CHECK (((role)::text = ANY ((ARRAY['viewer'::character varying, 'importer'::character varying, 'admin'::character varying])::text[])))
);
CREATE SEQUENCE public.users_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.users_id_seq OWNED BY public.users.id;
ALTER TABLE ONLY public.node_leases ALTER COLUMN id SET DEFAULT nextval('public.node_leases_id_seq'::regclass);
ALTER TABLE ONLY public.nodes ALTER COLUMN id SET DEFAULT nextval('public.nodes_id_seq'::regclass);
ALTER TABLE ONLY public.query_finds ALTER COLUMN id SET DEFAULT nextval('public.query_finds_id_seq'::regclass);
ALTER TABLE ONLY public.query_tasks ALTER COLUMN id SET DEFAULT nextval('public.query_tasks_id_seq'::regclass);
ALTER TABLE ONLY public.retrieve_moves ALTER COLUMN id SET DEFAULT nextval('public.retrieve_moves_id_seq'::regclass);
ALTER TABLE ONLY public.retrieve_tasks ALTER COLUMN id SET DEFAULT nextval('public.retrieve_tasks_id_seq'::regclass);
ALTER TABLE ONLY public.users ALTER COLUMN id SET DEFAULT nextval('public.users_id_seq'::regclass);
INSERT INTO public.alembic_version VALUES ('0010');
INSERT INTO public.handover_batches VALUES ('b', '', '', 'done', 1, 0, '2024-05-01 12:00:00+00', '2024-05-01 12:00:00+00', '2024-05-01 12:00:00+00', NULL, NULL, '', '');
INSERT INTO public.node_budgets VALUES (1, 1.5, '2024-05-01 12:00:00+00', NULL, NULL);
INSERT INTO public.node_profiles VALUES (1, '10.0.0.1', '{}', '2024-05-01 12:00:00+00');
INSERT INTO public.nodes VALUES (1, 'remote', 'pacs', '10.0.0.1', 104, 'PACS', '', '2024-05-01 12:00:00+00', NULL, 4, NULL, '', '', 'move', 'auto');
INSERT INTO public.nodes VALUES (2, 'store', 'doseqr', '127.0.0.1', 11112, 'DOSEQR', '', '2024-05-01 12:00:00+00', NULL, 4, NULL, '', '', 'move', 'auto');
INSERT INTO public.queries VALUES ('{"types": ["CT"], "date_from": "2024-05-01"}', 1, '2024-05-01', false, 1, 0, 0, 0, 0, 0, 0, 0, 0, 'query-1', 'running', 1, 'pacs', 2, 'doseqr', 'admin', '2024-05-01 12:00:00+00', NULL, NULL, NULL, NULL, '', '', 'pacs - connection refused; next try at 12:00:30 UTC', 'interactive', 0, NULL);
INSERT INTO public.queries VALUES ('{"types": ["CT"]}', 1, '2024-05-01', false, 0, 0, 0, 0, 0, 1, 0, 0, 0, 'query-2', 'completed', 1, 'pacs', 2, 'doseqr', '', '2024-05-01 12:00:00+00', NULL, '2024-05-01 12:00:00+00', '2024-05-01 12:00:00+00', NULL, '', '', '', 'interactive', 1, '[{"command_id": "c", "requested_by": "admin", "at": "2024-05-01T12:00:00+00:00"}]');
INSERT INTO public.query_finds VALUES (1, 'query-2', 1, 'STUDY', '{}', 0, 1, 3, '', '2024-05-01 12:00:00+00');
INSERT INTO public.query_objects VALUES ('query-2', '1.2.3', '1.2.3.5', '1.2.3.5.6', NULL, 'keep', 'images_no_report');
INSERT INTO public.query_series VALUES ('query-2', '1.2.3', '1.2.3.4', 'SR', NULL, NULL, NULL, NULL, 'keep', 'rdsr', '', true);
INSERT INTO public.query_studies VALUES ('query-2', '1.2.3', 'decided', NULL, NULL, 'CT', 'keep', 'rdsr', '', '["CT", "SR"]', NULL, NULL, NULL, NULL, NULL, NULL, NULL, '');
INSERT INTO public.query_tasks VALUES ('query-1', NULL, 1, 'slice', 'pending', '{"from": "2024-05-01", "until": "2024-05-01"}', '2024-05-01 12:00:00+00', '2024-05-01 12:00:00+00', NULL, NULL, NULL, '', '', NULL, 0, 2, '2024-05-01 12:00:00+00', '', '');
INSERT INTO public.retrieve_objects VALUES ('query-2-r', '1.2.3', '1.2.3.4', '1.2.3.4.5', 'arrived', 1, NULL, NULL, '2024-05-01 12:00:00+00', '', '', '', '');
INSERT INTO public.retrieve_tasks VALUES ('query-2-r', 1, 'move', 'done', '{}', '2024-05-01 12:00:00+00', '2024-05-01 12:00:00+00', NULL, NULL, NULL, '', '', NULL, 0, 0, NULL, '', '');
INSERT INTO public.retrieves VALUES ('query-2', '{"types": []}', 'receipts', 1, 1, 0, 0, 0, 'query-2-r', 'completed', 1, 'pacs', 2, 'doseqr', '', '2024-05-01 12:00:00+00', NULL, '2024-05-01 12:00:00+00', '2024-05-01 12:00:00+00', NULL, '', '', '', 'interactive', 0, NULL);
INSERT INTO public.stored_objects VALUES ('1.2.3.4.5', '1.2.3.4', '1.2.3', '', '', 'store', '1.2.3/1.2.3.4/1.2.3.4.5.dcm', 3000000000, '', '', '2024-05-01 12:00:00+00', '2024-05-01 12:00:00+00', 1, 0, NULL);
INSERT INTO public.users VALUES (1, 'admin', 'admin', 'scrypt:x', true, 'token', '2024-05-01 12:00:00+00', NULL, NULL);
SELECT pg_catalog.setval('public.node_leases_id_seq', 1, false);
SELECT pg_catalog.setval('public.nodes_id_seq', 2, true);
SELECT pg_catalog.setval('public.query_finds_id_seq', 1, true);
SELECT pg_catalog.setval('public.query_tasks_id_seq', 1, true);
SELECT pg_catalog.setval('public.retrieve_moves_id_seq', 1, false);
SELECT pg_catalog.setval('public.retrieve_tasks_id_seq', 1, true);
SELECT pg_catalog.setval('public.users_id_seq', 1, true);
ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.commitment_reports
    ADD CONSTRAINT pk_commitment_reports PRIMARY KEY (transaction_uid);
ALTER TABLE ONLY public.handover_batches
    ADD CONSTRAINT pk_handover_batches PRIMARY KEY (id);
ALTER TABLE ONLY public.handover_marks
    ADD CONSTRAINT pk_handover_marks PRIMARY KEY (id);
ALTER TABLE ONLY public.handover_objects
    ADD CONSTRAINT pk_handover_objects PRIMARY KEY (sop_instance_uid, sha256);
ALTER TABLE ONLY public.node_budgets
    ADD CONSTRAINT pk_node_budgets PRIMARY KEY (node_id);
ALTER TABLE ONLY public.node_checks
    ADD CONSTRAINT pk_node_checks PRIMARY KEY (node_id);
ALTER TABLE ONLY public.node_leases
    ADD CONSTRAINT pk_node_leases PRIMARY KEY (id);
ALTER TABLE ONLY public.node_profiles
    ADD CONSTRAINT pk_node_profiles PRIMARY KEY (node_id);
ALTER TABLE ONLY public.nodes
    ADD CONSTRAINT pk_nodes PRIMARY KEY (id);
ALTER TABLE ONLY public.queries
    ADD CONSTRAINT pk_queries PRIMARY KEY (id);
ALTER TABLE ONLY public.query_finds
    ADD CONSTRAINT pk_query_finds PRIMARY KEY (id);
ALTER TABLE ONLY public.query_objects
    ADD CONSTRAINT pk_query_objects PRIMARY KEY (job_id, study_instance_uid, series_instance_uid, sop_instance_uid);
ALTER TABLE ONLY public.query_series
    ADD CONSTRAINT pk_query_series PRIMARY KEY (job_id, study_instance_uid, series_instance_uid);
ALTER TABLE ONLY public.query_studies
    ADD CONSTRAINT pk_query_studies PRIMARY KEY (job_id, study_instance_uid);
ALTER TABLE ONLY public.query_tasks
    ADD CONSTRAINT pk_query_tasks PRIMARY KEY (id);
ALTER TABLE ONLY public.report_summaries
    ADD CONSTRAINT pk_report_summaries PRIMARY KEY (sop_instance_uid);
ALTER TABLE ONLY public.retrieve_commitments
    ADD CONSTRAINT pk_retrieve_commitments PRIMARY KEY (transaction_uid);
ALTER TABLE ONLY public.retrieve_moves
    ADD CONSTRAINT pk_retrieve_moves PRIMARY KEY (id);
ALTER TABLE ONLY public.retrieve_objects
    ADD CONSTRAINT pk_retrieve_objects PRIMARY KEY (job_id, study_instance_uid, series_instance_uid, sop_instance_uid);
ALTER TABLE ONLY public.retrieve_tasks
    ADD CONSTRAINT pk_retrieve_tasks PRIMARY KEY (id);
ALTER TABLE ONLY public.retrieves
    ADD CONSTRAINT pk_retrieves PRIMARY KEY (id);
ALTER TABLE ONLY public.stored_objects
    ADD CONSTRAINT pk_stored_objects PRIMARY KEY (sop_instance_uid);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT pk_users PRIMARY KEY (id);
ALTER TABLE ONLY public.node_leases
    ADD CONSTRAINT uq_node_leases_token UNIQUE (token);
ALTER TABLE ONLY public.nodes
    ADD CONSTRAINT uq_nodes_name UNIQUE (name);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT uq_users_name UNIQUE (name);
CREATE INDEX ix_handover_batches_job ON public.handover_batches USING btree (job_id);
CREATE INDEX ix_handover_batches_state_due ON public.handover_batches USING btree (state, due_at);
CREATE INDEX ix_handover_objects_batch ON public.handover_objects USING btree (batch_id);
CREATE INDEX ix_node_leases_node ON public.node_leases USING btree (node_id, held);
CREATE INDEX ix_queries_requested_at ON public.queries USING btree (requested_at);
CREATE INDEX ix_queries_status ON public.queries USING btree (status);
CREATE INDEX ix_query_finds_job ON public.query_finds USING btree (job_id, task_id);
CREATE INDEX ix_query_studies_job_decision ON public.query_studies USING btree (job_id, decision, type);
CREATE INDEX ix_query_studies_job_state ON public.query_studies USING btree (job_id, state);
CREATE INDEX ix_query_studies_job_task ON public.query_studies USING btree (job_id, task_id);
CREATE INDEX ix_query_studies_uid ON public.query_studies USING btree (study_instance_uid);
CREATE INDEX ix_query_tasks_job_state ON public.query_tasks USING btree (job_id, state, due_at);
CREATE INDEX ix_query_tasks_state_due ON public.query_tasks USING btree (state, due_at);
CREATE INDEX ix_retrieve_commitments_job ON public.retrieve_commitments USING btree (job_id, task_id);
CREATE INDEX ix_retrieve_moves_job ON public.retrieve_moves USING btree (job_id, task_id);
CREATE INDEX ix_retrieve_objects_job_state ON public.retrieve_objects USING btree (job_id, state);
CREATE INDEX ix_retrieve_tasks_job_state ON public.retrieve_tasks USING btree (job_id, state, due_at);
CREATE INDEX ix_retrieve_tasks_state_due ON public.retrieve_tasks USING btree (state, due_at);
CREATE INDEX ix_retrieves_query_id ON public.retrieves USING btree (query_id);
CREATE INDEX ix_retrieves_requested_at ON public.retrieves USING btree (requested_at);
CREATE INDEX ix_retrieves_status ON public.retrieves USING btree (status);
CREATE INDEX ix_stored_objects_last_received_at ON public.stored_objects USING btree (last_received_at);
CREATE INDEX ix_stored_objects_study ON public.stored_objects USING btree (study_instance_uid, series_instance_uid);
CREATE INDEX ix_stored_objects_unannounced ON public.stored_objects USING btree (announced_at, received_at);
ALTER TABLE ONLY public.handover_objects
    ADD CONSTRAINT fk_handover_objects_batch_id_handover_batches FOREIGN KEY (batch_id) REFERENCES public.handover_batches(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.query_finds
    ADD CONSTRAINT fk_query_finds_job_id FOREIGN KEY (job_id) REFERENCES public.queries(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.query_objects
    ADD CONSTRAINT fk_query_objects_job_id FOREIGN KEY (job_id) REFERENCES public.queries(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.query_series
    ADD CONSTRAINT fk_query_series_job_id FOREIGN KEY (job_id) REFERENCES public.queries(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.query_studies
    ADD CONSTRAINT fk_query_studies_job_id FOREIGN KEY (job_id) REFERENCES public.queries(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.query_tasks
    ADD CONSTRAINT fk_query_tasks_job_id FOREIGN KEY (job_id) REFERENCES public.queries(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.retrieve_commitments
    ADD CONSTRAINT fk_retrieve_commitments_job_id FOREIGN KEY (job_id) REFERENCES public.retrieves(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.retrieve_moves
    ADD CONSTRAINT fk_retrieve_moves_job_id FOREIGN KEY (job_id) REFERENCES public.retrieves(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.retrieve_objects
    ADD CONSTRAINT fk_retrieve_objects_job_id FOREIGN KEY (job_id) REFERENCES public.retrieves(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.retrieve_tasks
    ADD CONSTRAINT fk_retrieve_tasks_job_id FOREIGN KEY (job_id) REFERENCES public.retrieves(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.retrieves
    ADD CONSTRAINT fk_retrieves_query_id FOREIGN KEY (query_id) REFERENCES public.queries(id);
