BEGIN TRANSACTION;
CREATE TABLE datasets (
    dataset_id TEXT PRIMARY KEY,
    instrument TEXT NOT NULL,
    session TEXT NOT NULL,
    sample TEXT,
    material TEXT,
    simulated INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'complete')),
    manifest TEXT,
    first_registered_utc TEXT NOT NULL,
    completed_utc TEXT,
    UNIQUE (instrument, session)
);
INSERT INTO "datasets" VALUES('twin.s1','twin','s1','grid-1','mos2',1,'complete','{"schema_version":1,"instrument":"twin","session":"s1","shards":[{"schema_version":1,"instrument":"twin","session":"s1","index":0,"first_sequence":0,"last_sequence":15,"frames":16,"streams":["haadf","truth"],"sha256":"d34beeb70cddcc1f973ab468a4f7467557065a2fc1b9c118e728035b25d38af0","size_bytes":1000,"sealed_utc":"2026-11-01T12:00:00Z","simulated":true,"sample":"grid-1","material":"mos2"},{"schema_version":1,"instrument":"twin","session":"s1","index":1,"first_sequence":16,"last_sequence":31,"frames":16,"streams":["haadf","truth"],"sha256":"568db421693629b25e9eb5597365e4e862638d29dcc0bb03f4085ebf2d5afd6b","size_bytes":1001,"sealed_utc":"2026-11-01T12:00:01Z","simulated":true,"sample":"grid-1","material":"mos2"}],"missing_sequences":[32],"closed_utc":"2026-11-01T13:00:00Z"}','2026-11-26T11:41:23.635024+00:00','2026-11-26T11:41:23.637375+00:00');
INSERT INTO "datasets" VALUES('twin.s2','twin','s2',NULL,NULL,1,'open',NULL,'2026-11-26T11:41:23.636402+00:00',NULL);
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    document TEXT NOT NULL,
    published INTEGER NOT NULL DEFAULT 0
);
INSERT INTO "events" VALUES(1,'{"schema_version":1,"id":"957bd50a016f4b768bb77caa8c5d7e87","kind":"shard.registered","source":"repository-1","occurred_utc":"2026-11-26T11:41:23.635305Z","trace_id":"2cfb0265078b4662b5b3f159f1949112","dataset_id":"twin.s1","idempotency_key":"twin:s1:0..15:d34beeb70cddcc1f973ab468a4f7467557065a2fc1b9c118e728035b25d38af0","frames":16,"material":"mos2"}',1);
INSERT INTO "events" VALUES(2,'{"schema_version":1,"id":"44cee0a21729439ba7fb222e49e5fe1a","kind":"shard.registered","source":"repository-1","occurred_utc":"2026-11-26T11:41:23.635967Z","trace_id":"f4a918469e714f7f9c7d19b1b0258de8","dataset_id":"twin.s1","idempotency_key":"twin:s1:16..31:568db421693629b25e9eb5597365e4e862638d29dcc0bb03f4085ebf2d5afd6b","frames":16,"material":"mos2"}',1);
INSERT INTO "events" VALUES(3,'{"schema_version":1,"id":"c4befa5834c2483a9cbd01528f672f67","kind":"shard.registered","source":"repository-1","occurred_utc":"2026-11-26T11:41:23.636470Z","trace_id":"e0c301123ad94791ba9e360630e4dcbd","dataset_id":"twin.s2","idempotency_key":"twin:s2:5..20:c9f9b435ea28e08508a8cde57592bc1c430a6eafc4fdcdd0c981d4e58201046e","frames":16,"material":null}',0);
INSERT INTO "events" VALUES(4,'{"schema_version":1,"id":"5a55b190bd1c40e49e583f7820f29d01","kind":"dataset.registered","source":"repository-1","occurred_utc":"2026-11-26T11:41:23.637454Z","trace_id":"dc3c540a4f094637bc377a81860f1a74","dataset_id":"twin.s1","frames":32,"missing":1,"material":"mos2"}',0);
CREATE TABLE shards (
    idempotency_key TEXT PRIMARY KEY,
    dataset_id TEXT NOT NULL REFERENCES datasets (dataset_id),
    first_sequence INTEGER NOT NULL,
    last_sequence INTEGER NOT NULL,
    frames INTEGER NOT NULL,
    size_bytes INTEGER NOT NULL,
    document TEXT NOT NULL,
    registered_by TEXT NOT NULL,
    registered_utc TEXT NOT NULL,
    registered_with TEXT NOT NULL,
    recorded_with TEXT NOT NULL
);
INSERT INTO "shards" VALUES('twin:s1:0..15:d34beeb70cddcc1f973ab468a4f7467557065a2fc1b9c118e728035b25d38af0','twin.s1',0,15,16,1000,'{"schema_version":1,"instrument":"twin","session":"s1","index":0,"first_sequence":0,"last_sequence":15,"frames":16,"streams":["haadf","truth"],"sha256":"d34beeb70cddcc1f973ab468a4f7467557065a2fc1b9c118e728035b25d38af0","size_bytes":1000,"sealed_utc":"2026-11-01T12:00:00Z","simulated":true,"sample":"grid-1","material":"mos2"}','repository-1','2026-11-26T11:41:23.635188+00:00','eucentric 0.1.0','eucentric 0.1.0');
INSERT INTO "shards" VALUES('twin:s1:16..31:568db421693629b25e9eb5597365e4e862638d29dcc0bb03f4085ebf2d5afd6b','twin.s1',16,31,16,1001,'{"schema_version":1,"instrument":"twin","session":"s1","index":1,"first_sequence":16,"last_sequence":31,"frames":16,"streams":["haadf","truth"],"sha256":"568db421693629b25e9eb5597365e4e862638d29dcc0bb03f4085ebf2d5afd6b","size_bytes":1001,"sealed_utc":"2026-11-01T12:00:01Z","simulated":true,"sample":"grid-1","material":"mos2"}','repository-1','2026-11-26T11:41:23.635926+00:00','eucentric 0.1.0','eucentric 0.1.0');
INSERT INTO "shards" VALUES('twin:s2:5..20:c9f9b435ea28e08508a8cde57592bc1c430a6eafc4fdcdd0c981d4e58201046e','twin.s2',5,20,16,1000,'{"schema_version":1,"instrument":"twin","session":"s2","index":0,"first_sequence":5,"last_sequence":20,"frames":16,"streams":["haadf","truth"],"sha256":"c9f9b435ea28e08508a8cde57592bc1c430a6eafc4fdcdd0c981d4e58201046e","size_bytes":1000,"sealed_utc":"2026-11-01T12:00:00Z","simulated":true,"sample":null,"material":null}','repository-1','2026-11-26T11:41:23.636436+00:00','eucentric 0.1.0','eucentric 0.1.0');
CREATE INDEX shards_by_dataset ON shards (dataset_id, first_sequence);
COMMIT;
