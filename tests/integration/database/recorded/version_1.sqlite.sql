-- SQLite of memleash's own tables, with rows in each, as the code of commit 0d6508c made them:
-- the last one without a version of the tables. Recorded with sqlite3's .dump.
PRAGMA application_id = 1835363692;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE memleash_notifications (
	id INTEGER NOT NULL, 
	received_at DOUBLE NOT NULL, 
	body BLOB NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO memleash_notifications VALUES(1,1790000070.0,X'7b2276657273696f6e223a202234222c202267726f75704b6579223a202267222c20227265636569766572223a202272222c2022737461747573223a2022666972696e67222c202267726f75704c6162656c73223a207b7d2c2022636f6d6d6f6e4c6162656c73223a207b7d2c2022636f6d6d6f6e416e6e6f746174696f6e73223a207b7d2c202265787465726e616c55524c223a2022222c20227472756e6361746564416c65727473223a20302c2022616c65727473223a205b5d7d');
CREATE TABLE memleash_alerts (
	fingerprint VARCHAR(128) NOT NULL, 
	starts_at DOUBLE NOT NULL, 
	alertname VARCHAR(256) NOT NULL, 
	host VARCHAR(256) NOT NULL, 
	agent VARCHAR(256) NOT NULL, 
	remediation VARCHAR(16), 
	status VARCHAR(16) NOT NULL, 
	verdict VARCHAR(32), 
	first_received_at DOUBLE NOT NULL, 
	last_received_at DOUBLE NOT NULL, 
	deliveries INTEGER NOT NULL, 
	PRIMARY KEY (fingerprint, starts_at)
);
INSERT INTO memleash_alerts VALUES('f1',1789999940.0,'AgentMemoryHardLimitExceeded','node-1','zstack-kvmagent','restart','firing',NULL,1790000000.0,1790000000.0,1);
CREATE TABLE memleash_restarts (
	id VARCHAR(36) NOT NULL, 
	host VARCHAR(256) NOT NULL, 
	agent VARCHAR(256) NOT NULL, 
	requested_at DOUBLE NOT NULL, 
	requested_by VARCHAR(256) NOT NULL, 
	fingerprint VARCHAR(128), 
	alert_started_at DOUBLE, 
	forced BOOLEAN NOT NULL, 
	approval VARCHAR(16), 
	approval_by VARCHAR(256), 
	resolved BOOLEAN NOT NULL, 
	step VARCHAR(32) NOT NULL, 
	command_sent_at DOUBLE, 
	command_sent_boot_id VARCHAR(36), 
	command_sent_uptime DOUBLE, 
	life_to_end DOUBLE, 
	outcome VARCHAR(32), 
	reason TEXT NOT NULL, 
	finished_at DOUBLE, 
	facts JSON NOT NULL, 
	steps JSON NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO memleash_restarts VALUES('11111111-1111-4111-8111-111111111111','node-1','zstack-kvmagent',1790000000.0,'alert','f1',1789999940.0,0,NULL,NULL,0,'hold',1790000002.0,'00000000-0000-4000-8000-000000000000',5000.0,1789992800.0,'not_ready','after 60 probes: nothing answers — é',1790000060.0,'{"admit": {"paused": false}}','[{"step": "admit", "started_at": 1790000000.0, "seconds": 0.1}]');
INSERT INTO memleash_restarts VALUES('22222222-2222-4222-8222-222222222222','node-2','zstack-kvmagent',1790000010.0,'ann',NULL,NULL,1,NULL,NULL,0,'awaiting_approval',NULL,NULL,NULL,NULL,NULL,'',NULL,'{}','[]');
INSERT INTO memleash_restarts VALUES('44444444-4444-4444-8444-444444444444','node-4','zstack-kvmagent',1790000020.0,'alert','f4',1790000000.0,0,NULL,NULL,0,'verify',NULL,NULL,NULL,NULL,NULL,'',NULL,'{}','[]');
CREATE TABLE memleash_hosts (
	host VARCHAR(256) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	changed_at DOUBLE NOT NULL, 
	restart_id VARCHAR(36), 
	agent VARCHAR(256), 
	drained BOOLEAN NOT NULL, 
	vouched_by VARCHAR(256), 
	attempts INTEGER NOT NULL, 
	next_attempt_at DOUBLE, 
	PRIMARY KEY (host)
);
INSERT INTO memleash_hosts VALUES('node-4','connecting',1790000021.0,'44444444-4444-4444-8444-444444444444','zstack-kvmagent',1,NULL,0,NULL);
INSERT INTO memleash_hosts VALUES('node-1','disconnected',1790000060.0,'11111111-1111-4111-8111-111111111111','zstack-kvmagent',1,NULL,0,1790000060.0);
CREATE TABLE memleash_mutes (
	host VARCHAR(256) NOT NULL, 
	claimant VARCHAR(300) NOT NULL, 
	since DOUBLE NOT NULL, 
	until BIGINT NOT NULL, 
	reason TEXT NOT NULL, 
	ending BOOLEAN NOT NULL, 
	PRIMARY KEY (host, claimant)
);
INSERT INTO memleash_mutes VALUES('node-3','busy:zstack-kvmagent',1790000000.0,1790000300,'zstack-kvmagent is busy',0);
CREATE TABLE memleash_quarantine (
	host VARCHAR(256) NOT NULL, 
	agent VARCHAR(256) NOT NULL, 
	since DOUBLE NOT NULL, 
	reason TEXT NOT NULL, 
	PRIMARY KEY (host, agent)
);
INSERT INTO memleash_quarantine VALUES('node-1','zstack-kvmagent',1790000061.0,'a fresh process holds 9 GiB of the hard limit 10 GiB');
CREATE TABLE memleash_flags (
	name VARCHAR(64) NOT NULL, 
	value TEXT NOT NULL, 
	changed_at DOUBLE NOT NULL, 
	changed_by VARCHAR(256) NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO memleash_flags VALUES('paused','maintenance of the rack',1790000062.0,'ann');
CREATE TABLE memleash_replicas (
	executor_id VARCHAR(128) NOT NULL, 
	version VARCHAR(64) NOT NULL, 
	beat_at DOUBLE NOT NULL, 
	PRIMARY KEY (executor_id)
);
INSERT INTO memleash_replicas VALUES('old:1:1','1',1795720794.4600133896);
CREATE TABLE memleash_leases (
	name VARCHAR(64) NOT NULL, 
	owner VARCHAR(128) NOT NULL, 
	until DOUBLE NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO memleash_leases VALUES('keeper','old:1:1',1795720814.472002983);
CREATE TABLE memleash_diagnoses (
	id VARCHAR(36) NOT NULL, 
	host VARCHAR(256) NOT NULL, 
	agent VARCHAR(256) NOT NULL, 
	requested_at DOUBLE NOT NULL, 
	requested_by VARCHAR(256) NOT NULL, 
	step VARCHAR(16) NOT NULL, 
	life DOUBLE, 
	rounds INTEGER, 
	interval_seconds DOUBLE, 
	pace TEXT NOT NULL, 
	verdict VARCHAR(32), 
	reason TEXT NOT NULL, 
	artifact VARCHAR(64) NOT NULL, 
	finished_at DOUBLE, 
	PRIMARY KEY (id)
);
INSERT INTO memleash_diagnoses VALUES('33333333-3333-4333-8333-333333333333','node-1','zstack-kvmagent',1789999700.0,'alert','begin',1789992800.0,5,300.0,'5 rounds x 5m: growth unknown','diagnosed','','20260922T000000Z',1789999900.0);
CREATE INDEX ix_memleash_alerts_last_received_at ON memleash_alerts (last_received_at);
CREATE UNIQUE INDEX memleash_one_restart_at_a_time ON memleash_restarts (host, agent) WHERE outcome IS NULL;
CREATE INDEX memleash_restarts_of_agent ON memleash_restarts (host, agent, requested_at);
CREATE INDEX memleash_restarts_of_alert ON memleash_restarts (fingerprint, alert_started_at);
CREATE INDEX ix_memleash_restarts_requested_at ON memleash_restarts (requested_at);
CREATE INDEX ix_memleash_restarts_finished_at ON memleash_restarts (finished_at);
CREATE INDEX memleash_diagnoses_of_agent ON memleash_diagnoses (host, agent, requested_at);
CREATE INDEX ix_memleash_diagnoses_finished_at ON memleash_diagnoses (finished_at);
CREATE UNIQUE INDEX memleash_one_diagnosis_a_host ON memleash_diagnoses (host) WHERE verdict IS NULL;
CREATE INDEX ix_memleash_diagnoses_requested_at ON memleash_diagnoses (requested_at);
COMMIT;
