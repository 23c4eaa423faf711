-- A ledger of the version before revisions were noted: its tables as that version made them, and its rows.
-- Both SQLite and PostgreSQL read it.
CREATE TABLE sweeps (
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    spec TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE jobs (
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    state TEXT NOT NULL,
    phase TEXT,
    spec TEXT NOT NULL,
    result TEXT,
    error TEXT,
    step BIGINT NOT NULL,
    steps BIGINT,
    progress_us BIGINT,
    latest TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    started_us BIGINT,
    finished_us BIGINT,
    attempt INTEGER NOT NULL,
    lost_attempts INTEGER NOT NULL,
    worker_id TEXT,
    sandbox TEXT,
    claimed_us BIGINT,
    lease_until_us BIGINT,
    requested TEXT,
    sent_us BIGINT,
    patience INTEGER NOT NULL,
    last_event BIGINT NOT NULL,
    sweep_id TEXT,
    PRIMARY KEY (id),
    CONSTRAINT jobs_state CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    CONSTRAINT jobs_requested CHECK (requested IN ('stop', 'cancel')),
    CONSTRAINT jobs_running_has_worker CHECK ((state = 'running') = (worker_id IS NOT NULL)),
    CONSTRAINT jobs_succeeded_has_result CHECK ((state = 'succeeded') = (result IS NOT NULL)),
    FOREIGN KEY(sweep_id) REFERENCES sweeps (id)
);
CREATE TABLE job_labels (
    job_id TEXT NOT NULL,
    "key" TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (job_id, "key"),
    FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
CREATE TABLE events (
    job_id TEXT NOT NULL,
    id BIGINT NOT NULL,
    at_us BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (job_id, id),
    FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
CREATE TABLE job_blobs (
    job_id TEXT NOT NULL,
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    upload_id TEXT,
    PRIMARY KEY (job_id, role, name),
    CONSTRAINT job_blobs_role CHECK (role IN ('model', 'data', 'artifact')),
    FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
CREATE TABLE job_logs (
    job_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (job_id, attempt),
    FOREIGN KEY(job_id) REFERENCES jobs (id) ON DELETE CASCADE
);
CREATE TABLE blobs (
    sha256 TEXT NOT NULL,
    pinned_us BIGINT NOT NULL,
    PRIMARY KEY (sha256)
);
CREATE TABLE once (
    tenant TEXT NOT NULL,
    route TEXT NOT NULL,
    "key" TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    owner TEXT NOT NULL,
    held_until_us BIGINT NOT NULL,
    created_us BIGINT NOT NULL,
    location TEXT,
    body TEXT,
    PRIMARY KEY (tenant, route, "key")
);
CREATE TABLE workers (
    id TEXT NOT NULL,
    capacity INTEGER NOT NULL,
    sandbox TEXT,
    seen_us BIGINT NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE uploads (
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    filename TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    part_bytes BIGINT NOT NULL,
    complete BOOLEAN NOT NULL,
    created_us BIGINT NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE upload_parts (
    upload_id TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (upload_id, n),
    FOREIGN KEY(upload_id) REFERENCES uploads (id) ON DELETE CASCADE
);
CREATE TABLE tenants (
    id TEXT NOT NULL,
    locks BIGINT NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE api_keys (
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    scope TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    revoked_us BIGINT,
    PRIMARY KEY (id),
    CONSTRAINT api_keys_scope CHECK (scope IN ('read', 'submit', 'admin')),
    UNIQUE (sha256)
);
CREATE TABLE webhooks (
    id TEXT NOT NULL,
    tenant TEXT NOT NULL,
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    secret TEXT NOT NULL,
    old_secret TEXT,
    old_until_us BIGINT,
    disabled_reason TEXT NOT NULL,
    created_us BIGINT NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE deliveries (
    id TEXT NOT NULL,
    webhook_id TEXT NOT NULL,
    job_id TEXT NOT NULL,
    type TEXT NOT NULL,
    body TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    created_us BIGINT NOT NULL,
    next_us BIGINT,
    last_status INTEGER,
    last_error TEXT NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT deliveries_state CHECK (state IN ('pending', 'delivered', 'failed')),
    FOREIGN KEY(webhook_id) REFERENCES webhooks (id) ON DELETE CASCADE
);
CREATE INDEX blobs_oldest ON blobs (pinned_us);
CREATE INDEX deliveries_by_webhook ON deliveries (webhook_id, created_us);
CREATE INDEX deliveries_due ON deliveries (state, next_us);
CREATE INDEX job_blobs_by_content ON job_blobs (sha256);
CREATE INDEX job_blobs_by_upload ON job_blobs (upload_id);
CREATE INDEX job_labels_by_value ON job_labels ("key", value, job_id);
CREATE INDEX jobs_by_state ON jobs (state, created_us, id);
CREATE INDEX jobs_by_sweep ON jobs (sweep_id);
CREATE INDEX jobs_newest ON jobs (tenant, created_us, id);
CREATE INDEX once_oldest ON once (created_us);
CREATE INDEX uploads_by_content ON uploads (sha256);
CREATE INDEX uploads_by_tenant ON uploads (tenant, created_us);
CREATE INDEX webhooks_by_tenant ON webhooks (tenant, created_us);
INSERT INTO sweeps (id, tenant, spec, created_us) VALUES ('swp_87dbc9e70a6d444e9dfbffcaa8dab945', 'acme', '{"model":"upl_8479ec6af54341ba87fd67c43540036e","data":null,"labels":{},"time_limit_s":null,"tolerance":0.0005,"granularity":"global","exclude":[],"objective":"auto","method":"sca","search":{"strategy":"track","alpha":null},"budget":{"epochs":null,"seconds":null},"acceptance":{"max_drop":null,"on_miss":"best_effort"},"exports":[],"seed":0,"targets":[0.5,0.6]}', 1795574354065000);
INSERT INTO jobs (id, tenant, state, phase, spec, result, error, step, steps, progress_us, latest, created_us, started_us, finished_us, attempt, lost_attempts, worker_id, sandbox, claimed_us, lease_until_us, requested, sent_us, patience, last_event, sweep_id) VALUES ('job_7c18766749af4b4d9643348348d9a670', 'acme', 'running', NULL, '{"model":"upl_dcaf1998dc9346198df32cb5e988a67d","data":null,"labels":{},"time_limit_s":null,"tolerance":0.0005,"granularity":"global","exclude":[],"objective":"auto","method":"sca","search":{"strategy":"track","alpha":null},"budget":{"epochs":null,"seconds":null},"acceptance":{"max_drop":null,"on_miss":"best_effort"},"exports":[],"seed":0,"target_sparsity":0.5}', NULL, NULL, 0, NULL, NULL, '{}', 1795574354006000, 1795574354039000, NULL, 1, 0, 'w1', 'limits', 1795574354039000, 1795574414039000, NULL, 1795574354006000, 1, 2, NULL);
INSERT INTO jobs (id, tenant, state, phase, spec, result, error, step, steps, progress_us, latest, created_us, started_us, finished_us, attempt, lost_attempts, worker_id, sandbox, claimed_us, lease_until_us, requested, sent_us, patience, last_event, sweep_id) VALUES ('job_88d0c3bb4b2e4adcb5cd0d40ef73e592', 'acme', 'queued', NULL, '{"model":"upl_8479ec6af54341ba87fd67c43540036e","data":null,"labels":{},"time_limit_s":null,"tolerance":0.0005,"granularity":"global","exclude":[],"objective":"auto","method":"sca","search":{"strategy":"track","alpha":null},"budget":{"epochs":null,"seconds":null},"acceptance":{"max_drop":null,"on_miss":"best_effort"},"exports":[],"seed":0,"target_sparsity":0.5}', NULL, NULL, 0, NULL, NULL, '{}', 1795574354065000, NULL, NULL, 1, 0, NULL, NULL, NULL, NULL, NULL, 1795574354065000, 1, 1, 'swp_87dbc9e70a6d444e9dfbffcaa8dab945');
INSERT INTO jobs (id, tenant, state, phase, spec, result, error, step, steps, progress_us, latest, created_us, started_us, finished_us, attempt, lost_attempts, worker_id, sandbox, claimed_us, lease_until_us, requested, sent_us, patience, last_event, sweep_id) VALUES ('job_ca60bf1a7b584ffc9840c1e7398b0f49', 'acme', 'succeeded', NULL, '{"model":"upl_ac2bd0aa804f4bd893807d022c6e951a","data":null,"labels":{"team":"vision"},"time_limit_s":null,"tolerance":0.0005,"granularity":"global","exclude":[],"objective":"auto","method":"sca","search":{"strategy":"track","alpha":null},"budget":{"epochs":null,"seconds":null},"acceptance":{"max_drop":null,"on_miss":"best_effort"},"exports":[],"seed":0,"target_sparsity":0.5}', '{"target_sparsity":0.5,"sparsity":0.5,"alpha":0.1,"target_met":true,"metric":null,"agreement":null,"bits_per_weight":1.6,"entropy_bits_per_weight":1.5,"model_bytes":100,"artifact_bytes":10,"ratio":10.0,"steps":4,"seconds":1.0,"warnings":[],"layers":[],"artifacts":[]}', NULL, 0, NULL, NULL, '{}', 1795574353990000, 1795574354012000, 1795574354028000, 1, 0, NULL, 'limits', 1795574354012000, NULL, NULL, 1795574353990000, 1, 3, NULL);
INSERT INTO jobs (id, tenant, state, phase, spec, result, error, step, steps, progress_us, latest, created_us, started_us, finished_us, attempt, lost_attempts, worker_id, sandbox, claimed_us, lease_until_us, requested, sent_us, patience, last_event, sweep_id) VALUES ('job_e8dd508b87774187b546475cd7d3a6ca', 'acme', 'queued', NULL, '{"model":"upl_8479ec6af54341ba87fd67c43540036e","data":null,"labels":{},"time_limit_s":null,"tolerance":0.0005,"granularity":"global","exclude":[],"objective":"auto","method":"sca","search":{"strategy":"track","alpha":null},"budget":{"epochs":null,"seconds":null},"acceptance":{"max_drop":null,"on_miss":"best_effort"},"exports":[],"seed":0,"target_sparsity":0.6}', NULL, NULL, 0, NULL, NULL, '{}', 1795574354071000, NULL, NULL, 1, 0, NULL, NULL, NULL, NULL, NULL, 1795574354071000, 1, 1, 'swp_87dbc9e70a6d444e9dfbffcaa8dab945');
INSERT INTO job_labels (job_id, key, value) VALUES ('job_ca60bf1a7b584ffc9840c1e7398b0f49', 'team', 'vision');
INSERT INTO events (job_id, id, at_us, body) VALUES ('job_7c18766749af4b4d9643348348d9a670', 1, 1795574354006000, '{"kind":"state","state":"queued","attempt":1,"error":null}');
INSERT INTO events (job_id, id, at_us, body) VALUES ('job_7c18766749af4b4d9643348348d9a670', 2, 1795574354039000, '{"kind":"state","state":"running","attempt":1,"error":null}');
INSERT INTO events (job_id, id, at_us, body) VALUES ('job_88d0c3bb4b2e4adcb5cd0d40ef73e592', 1, 1795574354065000, '{"kind":"state","state":"queued","attempt":1,"error":null}');
INSERT INTO events (job_id, id, at_us, body) VALUES ('job_ca60bf1a7b584ffc9840c1e7398b0f49', 1, 1795574353990000, '{"kind":"state","state":"queued","attempt":1,"error":null}');
INSERT INTO events (job_id, id, at_us, body) VALUES ('job_ca60bf1a7b584ffc9840c1e7398b0f49', 2, 1795574354012000, '{"kind":"state","state":"running","attempt":1,"error":null}');
INSERT INTO events (job_id, id, at_us, body) VALUES ('job_ca60bf1a7b584ffc9840c1e7398b0f49', 3, 1795574354028000, '{"kind":"state","state":"succeeded","attempt":1,"error":null}');
INSERT INTO events (job_id, id, at_us, body) VALUES ('job_e8dd508b87774187b546475cd7d3a6ca', 1, 1795574354071000, '{"kind":"state","state":"queued","attempt":1,"error":null}');
INSERT INTO job_blobs (job_id, role, name, sha256, bytes, upload_id) VALUES ('job_7c18766749af4b4d9643348348d9a670', 'model', 'model', 'abababababababababababababababababababababababababababababababab', 7, 'upl_dcaf1998dc9346198df32cb5e988a67d');
INSERT INTO job_blobs (job_id, role, name, sha256, bytes, upload_id) VALUES ('job_88d0c3bb4b2e4adcb5cd0d40ef73e592', 'model', 'model', 'abababababababababababababababababababababababababababababababab', 7, 'upl_8479ec6af54341ba87fd67c43540036e');
INSERT INTO job_blobs (job_id, role, name, sha256, bytes, upload_id) VALUES ('job_ca60bf1a7b584ffc9840c1e7398b0f49', 'model', 'model', 'abababababababababababababababababababababababababababababababab', 7, 'upl_ac2bd0aa804f4bd893807d022c6e951a');
INSERT INTO job_blobs (job_id, role, name, sha256, bytes, upload_id) VALUES ('job_e8dd508b87774187b546475cd7d3a6ca', 'model', 'model', 'abababababababababababababababababababababababababababababababab', 7, 'upl_8479ec6af54341ba87fd67c43540036e');
INSERT INTO job_logs (job_id, attempt, text) VALUES ('job_ca60bf1a7b584ffc9840c1e7398b0f49', 1, 'begun');
INSERT INTO blobs (sha256, pinned_us) VALUES ('abababababababababababababababababababababababababababababababab', 1795574354047000);
INSERT INTO once (tenant, route, key, fingerprint, owner, held_until_us, created_us, location, body) VALUES ('acme', 'POST /v1/jobs', 'k1', 'f', '6e86f8d3b3b44c60867f15048005d7aa', 1795574355110000, 1795574354110000, NULL, NULL);
INSERT INTO workers (id, capacity, sandbox, seen_us) VALUES ('w1', 1, 'limits', 1795574354043000);
INSERT INTO uploads (id, tenant, filename, bytes, sha256, part_bytes, complete, created_us) VALUES ('upl_8479ec6af54341ba87fd67c43540036e', 'acme', 'model.pt2', 7, 'abababababababababababababababababababababababababababababababab', 10, true, 1795574354056000);
INSERT INTO uploads (id, tenant, filename, bytes, sha256, part_bytes, complete, created_us) VALUES ('upl_ac2bd0aa804f4bd893807d022c6e951a', 'acme', 'model.pt2', 7, 'abababababababababababababababababababababababababababababababab', 10, true, 1795574353983000);
INSERT INTO uploads (id, tenant, filename, bytes, sha256, part_bytes, complete, created_us) VALUES ('upl_dcaf1998dc9346198df32cb5e988a67d', 'acme', 'model.pt2', 7, 'abababababababababababababababababababababababababababababababab', 10, true, 1795574354002000);
INSERT INTO uploads (id, tenant, filename, bytes, sha256, part_bytes, complete, created_us) VALUES ('upl_ea22d3510a1d42d2a433affbe977e9bc', 'acme', 'part.pt2', 20, 'cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd', 10, false, 1795574354090000);
INSERT INTO upload_parts (upload_id, n) VALUES ('upl_ea22d3510a1d42d2a433affbe977e9bc', 0);
INSERT INTO tenants (id, locks) VALUES ('acme', 1);
INSERT INTO api_keys (id, tenant, name, scope, sha256, created_us, revoked_us) VALUES ('key_3e90bf6d4bcf4c0fbe292bd0dc2aab80', 'acme', 'ci', 'submit', 'b2d5f8510181fa40350e9c215cef7043400feeb790114b2de988cdcfedc6655c', 1795574354055000, NULL);
INSERT INTO webhooks (id, tenant, url, events, secret, old_secret, old_until_us, disabled_reason, created_us) VALUES ('whk_9b9ce78ceef441b4b25de51210706eb3', 'acme', 'https://example.com/hook', '["job.queued"]', 'whsec_wCfiYK2ZvX1Wg0Ea3HF+DRtFs7x9wnfmZMfJmKcZTpg=', NULL, NULL, '', 1795574353976000);
INSERT INTO deliveries (id, webhook_id, job_id, type, body, state, attempts, created_us, next_us, last_status, last_error) VALUES ('msg_3570c9977de24899b53dec3b3c2910a8', 'whk_9b9ce78ceef441b4b25de51210706eb3', 'job_7c18766749af4b4d9643348348d9a670', 'job.queued', '{"type":"job.queued","timestamp":"2026-11-25T02:39:14.006000Z","data":{"job_id":"job_7c18766749af4b4d9643348348d9a670","state":"queued","attempt":1,"labels":{}}}', 'pending', 0, 1795574354006000, 1795574354006000, NULL, '');
INSERT INTO deliveries (id, webhook_id, job_id, type, body, state, attempts, created_us, next_us, last_status, last_error) VALUES ('msg_98b62d1a973d44c1b5d747d02bfbe44e', 'whk_9b9ce78ceef441b4b25de51210706eb3', 'job_e8dd508b87774187b546475cd7d3a6ca', 'job.queued', '{"type":"job.queued","timestamp":"2026-11-25T02:39:14.071000Z","data":{"job_id":"job_e8dd508b87774187b546475cd7d3a6ca","state":"queued","attempt":1,"labels":{}}}', 'pending', 0, 1795574354071000, 1795574354071000, NULL, '');
INSERT INTO deliveries (id, webhook_id, job_id, type, body, state, attempts, created_us, next_us, last_status, last_error) VALUES ('msg_dccea6aa9e56424d96101452500519a8', 'whk_9b9ce78ceef441b4b25de51210706eb3', 'job_ca60bf1a7b584ffc9840c1e7398b0f49', 'job.queued', '{"type":"job.queued","timestamp":"2026-11-25T02:39:13.990000Z","data":{"job_id":"job_ca60bf1a7b584ffc9840c1e7398b0f49","state":"queued","attempt":1,"labels":{"team":"vision"}}}', 'pending', 0, 1795574353990000, 1795574353990000, NULL, '');
INSERT INTO deliveries (id, webhook_id, job_id, type, body, state, attempts, created_us, next_us, last_status, last_error) VALUES ('msg_f746dbc2e9cf494ebdd8d34bb46930d4', 'whk_9b9ce78ceef441b4b25de51210706eb3', 'job_88d0c3bb4b2e4adcb5cd0d40ef73e592', 'job.queued', '{"type":"job.queued","timestamp":"2026-11-25T02:39:14.065000Z","data":{"job_id":"job_88d0c3bb4b2e4adcb5cd0d40ef73e592","state":"queued","attempt":1,"labels":{}}}', 'pending', 0, 1795574354065000, 1795574354065000, NULL, '');
