BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0010');
CREATE TABLE commitment_reports (
	transaction_uid VARCHAR(64) NOT NULL, 
	calling_ae_title VARCHAR(16) NOT NULL, 
	committed JSON NOT NULL, 
	failed JSON NOT NULL, 
	received_at DATETIME NOT NULL, 
	CONSTRAINT pk_commitment_reports PRIMARY KEY (transaction_uid)
);
CREATE TABLE handover_batches (
	id VARCHAR(64) NOT NULL, 
	job_id VARCHAR(64) NOT NULL, 
	study_instance_uid VARCHAR(64) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	objects INTEGER NOT NULL, 
	attempts INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, 
	last_added_at DATETIME NOT NULL, 
	due_at DATETIME NOT NULL, 
	tried_at DATETIME, 
	ended_at DATETIME, 
	reason VARCHAR(64) NOT NULL, 
	detail TEXT NOT NULL, 
	CONSTRAINT pk_handover_batches PRIMARY KEY (id)
);
INSERT INTO "handover_batches" VALUES('b','','','done',1,0,'2024-05-01 12:00:00.000000','2024-05-01 12:00:00.000000','2024-05-01 12:00:00.000000',NULL,NULL,'','');
CREATE TABLE handover_marks (
	id INTEGER NOT NULL, 
	received_until DATETIME NOT NULL, 
	CONSTRAINT pk_handover_marks PRIMARY KEY (id)
);
CREATE TABLE handover_objects (
	sop_instance_uid VARCHAR(64) NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	batch_id VARCHAR(64) NOT NULL, 
	study_instance_uid VARCHAR(64) NOT NULL, 
	series_instance_uid VARCHAR(64) NOT NULL, 
	sop_class_uid VARCHAR(64) NOT NULL, 
	path TEXT NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	CONSTRAINT pk_handover_objects PRIMARY KEY (sop_instance_uid, sha256), 
	CONSTRAINT fk_handover_objects_batch_id_handover_batches FOREIGN KEY(batch_id) REFERENCES handover_batches (id) ON DELETE CASCADE
);
CREATE TABLE node_budgets (
	node_id INTEGER NOT NULL, 
	tokens FLOAT NOT NULL, 
	tokens_at DATETIME NOT NULL, 
	slowed_to INTEGER, 
	slowed_at DATETIME, 
	CONSTRAINT pk_node_budgets PRIMARY KEY (node_id)
);
INSERT INTO "node_budgets" VALUES(1,1.5,'2024-05-01 12:00:00.000000',NULL,NULL);
CREATE TABLE node_checks (
	node_id INTEGER NOT NULL, 
	ok BOOLEAN NOT NULL, 
	outcome VARCHAR(64) NOT NULL, 
	detail TEXT NOT NULL, 
	rtt_ms FLOAT, 
	checked_at DATETIME NOT NULL, 
	CONSTRAINT pk_node_checks PRIMARY KEY (node_id)
);
CREATE TABLE node_leases (
	id INTEGER NOT NULL, 
	token VARCHAR(64) NOT NULL, 
	node_id INTEGER NOT NULL, 
	held BOOLEAN NOT NULL, 
	worker VARCHAR(128) NOT NULL, 
	until DATETIME NOT NULL, 
	CONSTRAINT pk_node_leases PRIMARY KEY (id), 
	CONSTRAINT uq_node_leases_token UNIQUE (token)
);
CREATE TABLE node_profiles (
	node_id INTEGER NOT NULL, 
	address TEXT NOT NULL, 
	data JSON NOT NULL, 
	updated_at DATETIME NOT NULL, 
	CONSTRAINT pk_node_profiles PRIMARY KEY (node_id)
);
INSERT INTO "node_profiles" VALUES(1,'10.0.0.1','{}','2024-05-01 12:00:00.000000');
CREATE TABLE nodes (
	id INTEGER NOT NULL, 
	kind VARCHAR(8) NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	host VARCHAR(255) NOT NULL, 
	port INTEGER NOT NULL, 
	ae_title VARCHAR(16) NOT NULL, 
	calling_ae_title VARCHAR(16) NOT NULL, 
	created_at DATETIME NOT NULL, 
	removed_at DATETIME, max_associations INTEGER DEFAULT '4' NOT NULL, requests_per_minute INTEGER, hours VARCHAR(200) DEFAULT '' NOT NULL, time_zone VARCHAR(64) DEFAULT '' NOT NULL, retrieve_by VARCHAR(8) DEFAULT 'move' NOT NULL, verify_by VARCHAR(16) DEFAULT 'auto' NOT NULL, 
	CONSTRAINT pk_nodes PRIMARY KEY (id), 
	CONSTRAINT ck_nodes_kind CHECK (kind IN ('remote', 'store')), 
	CONSTRAINT ck_nodes_port CHECK (port BETWEEN 1 AND 65535), 
	CONSTRAINT uq_nodes_name UNIQUE (name)
);
INSERT INTO "nodes" VALUES(1,'remote','pacs','10.0.0.1',104,'PACS','','2024-05-01 12:00:00.000000',NULL,4,NULL,'','','move','auto');
INSERT INTO "nodes" VALUES(2,'store','doseqr','127.0.0.1',11112,'DOSEQR','','2024-05-01 12:00:00.000000',NULL,4,NULL,'','','move','auto');
CREATE TABLE queries (
	criteria JSON NOT NULL, 
	rules_version INTEGER NOT NULL, 
	today DATE NOT NULL, 
	retrieve_after BOOLEAN NOT NULL, 
	slices_total INTEGER NOT NULL, 
	slices_complete INTEGER NOT NULL, 
	slices_failed INTEGER NOT NULL, 
	studies_found INTEGER NOT NULL, 
	studies_examined INTEGER NOT NULL, 
	studies_kept INTEGER NOT NULL, 
	studies_missing INTEGER NOT NULL, 
	objects_kept INTEGER NOT NULL, 
	finds INTEGER NOT NULL, 
	id VARCHAR(64) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	remote_id INTEGER NOT NULL, 
	remote_name VARCHAR(64) NOT NULL, 
	store_id INTEGER NOT NULL, 
	store_name VARCHAR(64) NOT NULL, 
	requested_by VARCHAR(128) NOT NULL, 
	requested_at DATETIME NOT NULL, 
	started_at DATETIME, 
	ended_at DATETIME, 
	announced_at DATETIME, 
	progress_at DATETIME, 
	failure VARCHAR(64) NOT NULL, 
	detail TEXT NOT NULL, 
	note TEXT NOT NULL, priority VARCHAR(16) DEFAULT 'interactive' NOT NULL, round INTEGER DEFAULT '0' NOT NULL, asked_again JSON, 
	CONSTRAINT pk_queries PRIMARY KEY (id)
);
INSERT INTO "queries" VALUES('{"types": ["CT"], "date_from": "2024-05-01"}',1,'2024-05-01',0,1,0,0,0,0,0,0,0,0,'query-1','running',1,'pacs',2,'doseqr','admin','2024-05-01 12:00:00.000000',NULL,NULL,NULL,NULL,'','','pacs - connection refused; next try at 12:00:30 UTC','interactive',0,NULL);
INSERT INTO "queries" VALUES('{"types": ["CT"]}',1,'2024-05-01',0,0,0,0,0,0,1,0,0,0,'query-2','completed',1,'pacs',2,'doseqr','','2024-05-01 12:00:00.000000',NULL,'2024-05-01 12:00:00.000000','2024-05-01 12:00:00.000000',NULL,'','','','interactive',1,'[{"command_id": "c", "requested_by": "admin", "at": "2024-05-01T12:00:00+00:00"}]');
CREATE TABLE query_finds (
	id INTEGER NOT NULL, 
	job_id VARCHAR(64) NOT NULL, 
	task_id INTEGER NOT NULL, 
	level VARCHAR(8) NOT NULL, 
	keys JSON NOT NULL, 
	status_code INTEGER, 
	matches INTEGER NOT NULL, 
	duration_ms INTEGER NOT NULL, 
	error VARCHAR(64) NOT NULL, 
	asked_at DATETIME NOT NULL, 
	CONSTRAINT pk_query_finds PRIMARY KEY (id), 
	CONSTRAINT fk_query_finds_job_id FOREIGN KEY(job_id) REFERENCES queries (id) ON DELETE CASCADE
);
INSERT INTO "query_finds" VALUES(1,'query-2',1,'STUDY','{}',0,1,3,'','2024-05-01 12:00:00.000000');
CREATE TABLE query_objects (
	job_id VARCHAR(64) NOT NULL, 
	study_instance_uid VARCHAR(64) NOT NULL, 
	series_instance_uid VARCHAR(64) NOT NULL, 
	sop_instance_uid VARCHAR(64) NOT NULL, 
	sop_class_uid VARCHAR(64), 
	decision VARCHAR(8) NOT NULL, 
	reason VARCHAR(64) NOT NULL, 
	CONSTRAINT pk_query_objects PRIMARY KEY (job_id, study_instance_uid, series_instance_uid, sop_instance_uid), 
	CONSTRAINT fk_query_objects_job_id FOREIGN KEY(job_id) REFERENCES queries (id) ON DELETE CASCADE
);
INSERT INTO "query_objects" VALUES('query-2','1.2.3','1.2.3.5','1.2.3.5.6',NULL,'keep','images_no_report');
CREATE TABLE query_series (
	job_id VARCHAR(64) NOT NULL, 
	study_instance_uid VARCHAR(64) NOT NULL, 
	series_instance_uid VARCHAR(64) NOT NULL, 
	modality VARCHAR(64), 
	description TEXT, 
	station_name TEXT, 
	series_number INTEGER, 
	instance_count INTEGER, 
	decision VARCHAR(8) NOT NULL, 
	reason VARCHAR(64) NOT NULL, 
	note VARCHAR(64) NOT NULL, 
	whole BOOLEAN NOT NULL, 
	CONSTRAINT pk_query_series PRIMARY KEY (job_id, study_instance_uid, series_instance_uid), 
	CONSTRAINT fk_query_series_job_id FOREIGN KEY(job_id) REFERENCES queries (id) ON DELETE CASCADE
);
INSERT INTO "query_series" VALUES('query-2','1.2.3','1.2.3.4','SR',NULL,NULL,NULL,NULL,'keep','rdsr','',1);
CREATE TABLE query_studies (
	job_id VARCHAR(64) NOT NULL, 
	study_instance_uid VARCHAR(64) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	found_by INTEGER, 
	task_id INTEGER, 
	type VARCHAR(8), 
	decision VARCHAR(8) NOT NULL, 
	reason VARCHAR(64) NOT NULL, 
	note VARCHAR(64) NOT NULL, 
	modalities JSON, 
	description TEXT, 
	station_name TEXT, 
	study_date VARCHAR(16), 
	study_time VARCHAR(32), 
	accession_number TEXT, 
	series_count INTEGER, 
	instance_count INTEGER, 
	detail TEXT NOT NULL, 
	CONSTRAINT pk_query_studies PRIMARY KEY (job_id, study_instance_uid), 
	CONSTRAINT fk_query_studies_job_id FOREIGN KEY(job_id) REFERENCES queries (id) ON DELETE CASCADE
);
INSERT INTO "query_studies" VALUES('query-2','1.2.3','decided',NULL,NULL,'CT','keep','rdsr','','["CT", "SR"]',NULL,NULL,NULL,NULL,NULL,NULL,NULL,'');
CREATE TABLE query_tasks (
	job_id VARCHAR(64) NOT NULL, 
	parent_id INTEGER, 
	id INTEGER NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	payload JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	due_at DATETIME NOT NULL, 
	queued_at DATETIME, 
	started_at DATETIME, 
	ended_at DATETIME, 
	worker VARCHAR(128) NOT NULL, 
	claim_token VARCHAR(64) NOT NULL, 
	lease_until DATETIME, 
	starts INTEGER NOT NULL, 
	failures INTEGER NOT NULL, 
	failing_since DATETIME, 
	error VARCHAR(64) NOT NULL, 
	detail TEXT NOT NULL, 
	CONSTRAINT pk_query_tasks PRIMARY KEY (id), 
	CONSTRAINT fk_query_tasks_job_id FOREIGN KEY(job_id) REFERENCES queries (id) ON DELETE CASCADE
);
INSERT INTO "query_tasks" VALUES('query-1',NULL,1,'slice','pending','{"from": "2024-05-01", "until": "2024-05-01"}','2024-05-01 12:00:00.000000','2024-05-01 12:00:00.000000',NULL,NULL,NULL,'','',NULL,0,2,'2024-05-01 12:00:00.000000','','');
CREATE TABLE report_summaries (
	sop_instance_uid VARCHAR(64) NOT NULL, 
	unreadable VARCHAR(32) NOT NULL, 
	summary JSON, 
	read_at DATETIME NOT NULL, 
	CONSTRAINT pk_report_summaries PRIMARY KEY (sop_instance_uid)
);
CREATE TABLE retrieve_commitments (
	transaction_uid VARCHAR(64) NOT NULL, 
	job_id VARCHAR(64) NOT NULL, 
	task_id INTEGER NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	objects INTEGER NOT NULL, 
	committed INTEGER NOT NULL, 
	failed INTEGER NOT NULL, 
	asked_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	detail TEXT NOT NULL, 
	CONSTRAINT pk_retrieve_commitments PRIMARY KEY (transaction_uid), 
	CONSTRAINT fk_retrieve_commitments_job_id FOREIGN KEY(job_id) REFERENCES retrieves (id) ON DELETE CASCADE
);
CREATE TABLE retrieve_moves (
	id INTEGER NOT NULL, 
	job_id VARCHAR(64) NOT NULL, 
	task_id INTEGER NOT NULL, 
	level VARCHAR(8) NOT NULL, 
	keys JSON NOT NULL, 
	status_code INTEGER, 
	completed INTEGER, 
	warning INTEGER, 
	failed INTEGER, 
	duration_ms INTEGER NOT NULL, 
	error VARCHAR(64) NOT NULL, 
	asked_at DATETIME NOT NULL, 
	CONSTRAINT pk_retrieve_moves PRIMARY KEY (id), 
	CONSTRAINT fk_retrieve_moves_job_id FOREIGN KEY(job_id) REFERENCES retrieves (id) ON DELETE CASCADE
);
CREATE TABLE retrieve_objects (
	job_id VARCHAR(64) NOT NULL, 
	study_instance_uid VARCHAR(64) NOT NULL, 
	series_instance_uid VARCHAR(64) NOT NULL, 
	sop_instance_uid VARCHAR(64) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	asked INTEGER NOT NULL, 
	task_id INTEGER, 
	announced INTEGER, 
	arrived_at DATETIME, 
	reason VARCHAR(64) NOT NULL, 
	detail TEXT NOT NULL, sop_class_uid VARCHAR(64) DEFAULT '' NOT NULL, committed_in VARCHAR(64) DEFAULT '' NOT NULL, 
	CONSTRAINT pk_retrieve_objects PRIMARY KEY (job_id, study_instance_uid, series_instance_uid, sop_instance_uid), 
	CONSTRAINT fk_retrieve_objects_job_id FOREIGN KEY(job_id) REFERENCES retrieves (id) ON DELETE CASCADE
);
INSERT INTO "retrieve_objects" VALUES('query-2-r','1.2.3','1.2.3.4','1.2.3.4.5','arrived',1,NULL,NULL,'2024-05-01 12:00:00.000000','','','','');
CREATE TABLE retrieve_tasks (
	job_id VARCHAR(64) NOT NULL, 
	id INTEGER NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	payload JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	due_at DATETIME NOT NULL, 
	queued_at DATETIME, 
	started_at DATETIME, 
	ended_at DATETIME, 
	worker VARCHAR(128) NOT NULL, 
	claim_token VARCHAR(64) NOT NULL, 
	lease_until DATETIME, 
	starts INTEGER NOT NULL, 
	failures INTEGER NOT NULL, 
	failing_since DATETIME, 
	error VARCHAR(64) NOT NULL, 
	detail TEXT NOT NULL, 
	CONSTRAINT pk_retrieve_tasks PRIMARY KEY (id), 
	CONSTRAINT fk_retrieve_tasks_job_id FOREIGN KEY(job_id) REFERENCES retrieves (id) ON DELETE CASCADE
);
INSERT INTO "retrieve_tasks" VALUES('query-2-r',1,'move','done','{}','2024-05-01 12:00:00.000000','2024-05-01 12:00:00.000000',NULL,NULL,NULL,'','',NULL,0,0,NULL,'','');
CREATE TABLE retrieves (
	query_id VARCHAR(64) NOT NULL, 
	selection JSON NOT NULL, 
	verification VARCHAR(16) NOT NULL, 
	asked INTEGER NOT NULL, 
	arrived INTEGER NOT NULL, 
	reported_completed INTEGER NOT NULL, 
	reported_warning INTEGER NOT NULL, 
	reported_failed INTEGER NOT NULL, 
	id VARCHAR(64) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	remote_id INTEGER NOT NULL, 
	remote_name VARCHAR(64) NOT NULL, 
	store_id INTEGER NOT NULL, 
	store_name VARCHAR(64) NOT NULL, 
	requested_by VARCHAR(128) NOT NULL, 
	requested_at DATETIME NOT NULL, 
	started_at DATETIME, 
	ended_at DATETIME, 
	announced_at DATETIME, 
	progress_at DATETIME, 
	failure VARCHAR(64) NOT NULL, 
	detail TEXT NOT NULL, 
	note TEXT NOT NULL, priority VARCHAR(16) DEFAULT 'interactive' NOT NULL, round INTEGER DEFAULT '0' NOT NULL, asked_again JSON, 
	CONSTRAINT pk_retrieves PRIMARY KEY (id), 
	CONSTRAINT fk_retrieves_query_id FOREIGN KEY(query_id) REFERENCES queries (id)
);
INSERT INTO "retrieves" VALUES('query-2','{"types": []}','receipts',1,1,0,0,0,'query-2-r','completed',1,'pacs',2,'doseqr','','2024-05-01 12:00:00.000000',NULL,'2024-05-01 12:00:00.000000','2024-05-01 12:00:00.000000',NULL,'','','','interactive',0,NULL);
CREATE TABLE stored_objects (
	sop_instance_uid VARCHAR(64) NOT NULL, 
	series_instance_uid VARCHAR(64) NOT NULL, 
	study_instance_uid VARCHAR(64) NOT NULL, 
	sop_class_uid VARCHAR(64) NOT NULL, 
	transfer_syntax_uid VARCHAR(64) NOT NULL, 
	source VARCHAR(16) NOT NULL, 
	path TEXT NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	calling_ae_title VARCHAR(16) NOT NULL, 
	received_at DATETIME NOT NULL, 
	last_received_at DATETIME NOT NULL, 
	received_count INTEGER NOT NULL, 
	conflicts INTEGER NOT NULL, 
	announced_at DATETIME, 
	CONSTRAINT pk_stored_objects PRIMARY KEY (sop_instance_uid)
);
INSERT INTO "stored_objects" VALUES('1.2.3.4.5','1.2.3.4','1.2.3','','','store','1.2.3/1.2.3.4/1.2.3.4.5.dcm',3000000000,'','','2024-05-01 12:00:00.000000','2024-05-01 12:00:00.000000',1,0,NULL);
CREATE TABLE users (
	id INTEGER NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	role VARCHAR(16) NOT NULL, 
	password_hash TEXT NOT NULL, 
	must_change_password BOOLEAN NOT NULL, 
	session_token VARCHAR(64) NOT NULL, 
	created_at DATETIME NOT NULL, 
	last_login_at DATETIME, 
	disabled_at DATETIME, 
	CONSTRAINT pk_users PRIMARY KEY (id), 
	CONSTRAINT ck_users_role CHECK (role IN ('viewer', 'importer', 'admin')), 
	CONSTRAINT uq_users_name UNIQUE (name)
);
INSERT INTO "users" VALUES(1,'admin','admin','scrypt:x',1,'token','2024-05-01 12:00:00.000000',NULL,NULL);
CREATE INDEX ix_queries_requested_at ON queries (requested_at);
CREATE INDEX ix_queries_status ON queries (status);
CREATE INDEX ix_stored_objects_last_received_at ON stored_objects (last_received_at);
CREATE INDEX ix_stored_objects_study ON stored_objects (study_instance_uid, series_instance_uid);
CREATE INDEX ix_stored_objects_unannounced ON stored_objects (announced_at, received_at);
CREATE INDEX ix_query_finds_job ON query_finds (job_id, task_id);
CREATE INDEX ix_query_studies_job_decision ON query_studies (job_id, decision, type);
CREATE INDEX ix_query_studies_job_state ON query_studies (job_id, state);
CREATE INDEX ix_query_studies_job_task ON query_studies (job_id, task_id);
CREATE INDEX ix_query_tasks_job_state ON query_tasks (job_id, state, due_at);
CREATE INDEX ix_query_tasks_state_due ON query_tasks (state, due_at);
CREATE INDEX ix_retrieves_query_id ON retrieves (query_id);
CREATE INDEX ix_retrieves_requested_at ON retrieves (requested_at);
CREATE INDEX ix_retrieves_status ON retrieves (status);
CREATE INDEX ix_retrieve_moves_job ON retrieve_moves (job_id, task_id);
CREATE INDEX ix_retrieve_objects_job_state ON retrieve_objects (job_id, state);
CREATE INDEX ix_retrieve_tasks_job_state ON retrieve_tasks (job_id, state, due_at);
CREATE INDEX ix_retrieve_tasks_state_due ON retrieve_tasks (state, due_at);
CREATE INDEX ix_node_leases_node ON node_leases (node_id, held);
CREATE INDEX ix_query_studies_uid ON query_studies (study_instance_uid);
CREATE INDEX ix_handover_batches_state_due ON handover_batches (state, due_at);
CREATE INDEX ix_handover_batches_job ON handover_batches (job_id);
CREATE INDEX ix_handover_objects_batch ON handover_objects (batch_id);
CREATE INDEX ix_retrieve_commitments_job ON retrieve_commitments (job_id, task_id);
COMMIT;
