-- The tables of a Reactor store, version 5. Times are milliseconds unless a column says otherwise:
-- `*_host` on the store's own clock, which starts at the wall clock and runs only while a host does; `*_wall` since 1970.
-- Nothing on the path of an ordinary event inserts at random places: every table below that grows with events
-- grows at its end, and indexes are partial, so that they hold only what is out of the ordinary.

-- Single numbers.
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,       -- epoch: how often an owner has opened the store, and its fencing token
                                  -- group: how many transactions there were; each writes this table
                                  -- host: the store's clock; delivery: ids below are used; commit: numbers up to it are used
                                  -- told: host time; of what was admitted until then, not all is noted any more, or was
                                  -- refusing: 1 while the disk is full and what is left is not for new events
    value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO meta VALUES ('epoch', 0), ('group', 0), ('host', 0), ('delivery', 1), ('commit', 0), ('told', 0);

-- Reactor names and their numbers.
CREATE TABLE reactors (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

-- Channel names, their numbers, and the state of their logs. Each has a table log_<id>, made with it:
--   offset         INTEGER PRIMARY KEY   1, 2, 3, ...
--   accepted_wall  INTEGER NOT NULL      when it was published
--   accepted_host  INTEGER NOT NULL      the same on the store's clock; retention goes by this one
--   attributes     TEXT                  JSON [[name, value], ...]; NULL if there are none
--   system         TEXT                  JSON: message id, dedup id, group id; NULL if there are none
--   body           BLOB NOT NULL
CREATE TABLE channels (
    id     INTEGER PRIMARY KEY,
    name   TEXT NOT NULL UNIQUE,
    next   INTEGER NOT NULL DEFAULT 1,  -- the offset that the next record gets
    cursor INTEGER NOT NULL DEFAULT 1   -- the first offset that has not been admitted
);

-- Deliveries that have not ended; ids ascend in the order of admission and are never used twice.
CREATE TABLE deliveries (
    id       INTEGER PRIMARY KEY,
    reactor  INTEGER NOT NULL,
    place    INTEGER NOT NULL,      -- 0 in the owner's memory, 1 spilled, 2 held, 3 waiting, 4 away
    attempts INTEGER NOT NULL,      -- attempts that have ended: the fencing token
    since    INTEGER NOT NULL,      -- host time of admission
    channel  INTEGER NOT NULL,      -- origin: channel, record and which event of the record
    record   INTEGER NOT NULL,
    part     INTEGER NOT NULL,
    key      BLOB NOT NULL,         -- 16 bytes: the event's identity
    lane     BLOB,                  -- 16 bytes: the ordering key's hash
    due      INTEGER,               -- host time of the next attempt, where place = 3
    started  INTEGER,               -- an attempt that a crash cut short and nobody has accounted for yet
    redrive  INTEGER,               -- the dead letter that this delivery runs again
    history  TEXT,                  -- JSON: ended attempts, oldest first; NULL if there are none
    leased   INTEGER NOT NULL DEFAULT 0  -- received under a lease, without which it does not run
);
CREATE INDEX deliveries_spilled ON deliveries (reactor, id) WHERE place = 1;
CREATE INDEX deliveries_held ON deliveries (reactor, lane, id) WHERE place = 2;
CREATE INDEX deliveries_waiting ON deliveries (reactor, due, id) WHERE place = 3;
CREATE INDEX deliveries_waiting_lane ON deliveries (reactor, lane) WHERE place = 3 AND lane IS NOT NULL;
CREATE INDEX deliveries_away ON deliveries (since) WHERE place = 4;
CREATE INDEX deliveries_started ON deliveries (started) WHERE started IS NOT NULL;
CREATE INDEX deliveries_redrive ON deliveries (redrive) WHERE redrive IS NOT NULL;

-- Which events a reactor has been given, for dedup: one row per delivery, in the order of admission. A row whose id
-- is in `deliveries` is in progress, one whose id is in `dead` is dead, any other is done (view `ledger_status`). Where a
-- dead letter has been dropped, its row is in `dropped` instead.
CREATE TABLE ledger (
    delivery INTEGER PRIMARY KEY,
    reactor  INTEGER NOT NULL,
    since    INTEGER NOT NULL,      -- host time of admission
    key      BLOB NOT NULL,
    channel  INTEGER,               -- origin: channel, record and which event of the record; NULL before version 4.
    record   INTEGER,               -- Another event with the same key is a duplicate of this one
    part     INTEGER
);

-- Runs of the ledger that are full and have been indexed; the rest of it is indexed in the owner's memory.
CREATE TABLE segments (
    id     INTEGER PRIMARY KEY,
    first  INTEGER NOT NULL,        -- first and last delivery
    last   INTEGER NOT NULL,
    newest INTEGER NOT NULL,        -- host time of its last admission
    hashes INTEGER NOT NULL,        -- bloom filter over its keys: hashes a key, and the bits
    filter BLOB NOT NULL
);

-- The index of a segment: 12 bytes a key (8 of its hash, 4 of delivery - first), sorted, in 256 pieces by hash.
CREATE TABLE segment_index (
    segment INTEGER NOT NULL,
    bucket  INTEGER NOT NULL,       -- first byte of the hash
    keys    BLOB NOT NULL,
    PRIMARY KEY (segment, bucket)
) WITHOUT ROWID;

-- What reactors keep.
CREATE TABLE state (
    reactor INTEGER NOT NULL,
    key     TEXT NOT NULL,
    version INTEGER NOT NULL,       -- number of the commit that wrote it
    value   BLOB NOT NULL,
    PRIMARY KEY (reactor, key)
) WITHOUT ROWID;

-- Dead letters.
CREATE TABLE dead (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    reactor        INTEGER,         -- NULL: undecodable, or wanted by nobody
    delivery       INTEGER,         -- NULL: it never became one
    redriving      INTEGER NOT NULL DEFAULT 0,
    at             INTEGER NOT NULL,-- nanoseconds since 1970
    reason         TEXT NOT NULL,   -- a code
    detail         TEXT NOT NULL,   -- in words
    channel        INTEGER NOT NULL,
    record         INTEGER NOT NULL,
    part           INTEGER NOT NULL,
    key            BLOB NOT NULL,
    lane           BLOB,            -- ordering key
    parks          BLOB,            -- ordering key, if the lane waits until this is redriven or dropped
    event_id       TEXT,
    event_type     TEXT,
    correlation_id TEXT,
    history        TEXT,            -- as in deliveries
    attributes     TEXT,            -- the message, as in log_<id>
    system         TEXT,
    body           BLOB NOT NULL
);
CREATE INDEX dead_parks ON dead (reactor, parks) WHERE parks IS NOT NULL;
CREATE INDEX dead_delivery ON dead (delivery) WHERE delivery IS NOT NULL;
CREATE INDEX dead_origin ON dead (channel, record);

-- Dead letters that a person has dropped, so that they are told as such for as long as logs and ledger are kept.
CREATE TABLE dropped (
    letter       INTEGER PRIMARY KEY,
    dropped_host INTEGER NOT NULL,
    reactor      INTEGER NOT NULL,
    key          BLOB NOT NULL,
    channel      INTEGER NOT NULL,
    record       INTEGER NOT NULL,
    part         INTEGER NOT NULL,
    reason       TEXT NOT NULL
);
CREATE INDEX dropped_key ON dropped (key);
CREATE INDEX dropped_since ON dropped (dropped_host);
CREATE INDEX dropped_origin ON dropped (channel, record);

-- Events that a reactor was not given, because it had been given another one with the same key. Kept as long as `dropped`.
CREATE TABLE duplicates (
    id            INTEGER PRIMARY KEY,
    noted_host    INTEGER NOT NULL,
    reactor       INTEGER NOT NULL,
    channel       INTEGER NOT NULL, -- origin
    record        INTEGER NOT NULL,
    part          INTEGER NOT NULL,
    first         INTEGER NOT NULL, -- the delivery of the other one,
    first_channel INTEGER,          -- and its origin; NULL if that was admitted before version 4
    first_record  INTEGER,
    first_part    INTEGER
);
CREATE INDEX duplicates_origin ON duplicates (channel, record);

-- Dead letters that were run again: by which delivery. Kept as long as `dropped`.
CREATE TABLE redriven (
    delivery   INTEGER PRIMARY KEY,
    noted_host INTEGER NOT NULL,
    reactor    INTEGER NOT NULL,
    channel    INTEGER NOT NULL,    -- origin
    record     INTEGER NOT NULL,
    part       INTEGER NOT NULL
);
CREATE INDEX redriven_origin ON redriven (channel, record);

-- Attempts that have ended, for as long as `history` in reactors.toml says: in the order in which they ended, all those of a
-- transaction in one row, so that none needs a statement of its own (view `attempt`).
CREATE TABLE attempts (
    id         INTEGER PRIMARY KEY,
    ended_host INTEGER NOT NULL,
    worker     INTEGER NOT NULL,    -- epoch of the owner that ran them
    attempts   TEXT NOT NULL        -- JSON, a list for each: channel, record, part, reactor, delivery, number, what it
                                    -- meant for the delivery (0 done, 1 retry, 2 dead), code, wall time at which it ended,
                                    -- microseconds that it took, module, and the event's id, type and correlation id
);

-- Modules that attempts ran.
CREATE TABLE modules (
    id     INTEGER PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE     -- blake3, in hex
);

CREATE VIEW attempt AS
SELECT json_extract(one.value, '$[4]') AS delivery, r.name AS reactor, json_extract(one.value, '$[5]') AS number,
       json_extract(one.value, '$[7]') AS code, json_extract(one.value, '$[8]') AS ended_wall,
       json_extract(one.value, '$[9]') AS took, m.digest AS module, a.worker, c.name AS channel,
       json_extract(one.value, '$[1]') AS record, json_extract(one.value, '$[2]') AS part,
       json_extract(one.value, '$[11]') AS event_id, json_extract(one.value, '$[12]') AS event_type,
       json_extract(one.value, '$[13]') AS correlation_id
FROM attempts a, json_each(a.attempts) one
LEFT JOIN reactors r ON r.id = json_extract(one.value, '$[3]')
LEFT JOIN channels c ON c.id = json_extract(one.value, '$[0]')
LEFT JOIN modules m ON m.id = json_extract(one.value, '$[10]');

-- Messages on their way to remote channels; a row goes when its message has been sent.
CREATE TABLE outbox (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    channel    INTEGER NOT NULL,
    attributes TEXT,                -- the message, as in log_<id>
    system     TEXT,
    body       BLOB NOT NULL
);
CREATE INDEX outbox_channel ON outbox (channel, id);

-- What clients have asked the owner to do.
CREATE TABLE requests (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    request TEXT NOT NULL           -- JSON: {"redrive": id} or {"drop": id}
);

-- Counts since the store was made, per reactor (0 where it is about none): delivered, done, retried, duplicates, dead,
-- dropped, emitted, active, waiting; unrouted, invalid.
CREATE TABLE counters (
    name  TEXT NOT NULL,
    id    INTEGER NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (name, id)
) WITHOUT ROWID;

CREATE VIEW ledger_status AS
SELECT l.delivery, r.name AS reactor, hex(l.key) AS key, l.since,
       CASE WHEN d.id IS NOT NULL THEN 'in progress' WHEN x.id IS NOT NULL THEN 'dead' ELSE 'done' END AS status
FROM ledger l
JOIN reactors r ON r.id = l.reactor
LEFT JOIN deliveries d ON d.id = l.delivery
LEFT JOIN dead x ON x.delivery = l.delivery;
