CREATE TABLE aliases (
	name TEXT NOT NULL,
	alias TEXT NOT NULL,
	number INTEGER NOT NULL,
	message TEXT,
	since INTEGER NOT NULL,
	until INTEGER,
	CONSTRAINT pk_aliases PRIMARY KEY (name, alias, since),
	CONSTRAINT ck_aliases_interval CHECK (until > since),
	CONSTRAINT fk_aliases_name_models FOREIGN KEY(name) REFERENCES models (name)
);

CREATE TABLE copies (
	name TEXT NOT NULL,
	number INTEGER NOT NULL,
	repository TEXT NOT NULL,
	"commit" TEXT NOT NULL,
	tag TEXT,
	since INTEGER NOT NULL,
	until INTEGER,
	CONSTRAINT pk_copies PRIMARY KEY (name, number, repository, since),
	CONSTRAINT ck_copies_interval CHECK (until > since),
	CONSTRAINT fk_copies_name_models FOREIGN KEY(name) REFERENCES models (name)
);

CREATE TABLE edges (
	name TEXT NOT NULL,
	number INTEGER NOT NULL,
	since INTEGER NOT NULL,
	position INTEGER NOT NULL,
	role TEXT NOT NULL,
	parent TEXT NOT NULL,
	evidence TEXT NOT NULL,
	reference TEXT NOT NULL,
	CONSTRAINT pk_edges PRIMARY KEY (name, number, since, position),
	CONSTRAINT fk_edges_name_number_since_versions FOREIGN KEY(name, number, since) REFERENCES versions (name, number, since)
);

CREATE TABLE entries (
	number INTEGER NOT NULL,
	id TEXT NOT NULL,
	time TEXT NOT NULL,
	clock TEXT NOT NULL,
	"by" TEXT NOT NULL,
	kind TEXT NOT NULL,
	name TEXT,
	version INTEGER,
	digest TEXT NOT NULL,
	body JSON NOT NULL,
	format INTEGER DEFAULT 1 NOT NULL,
	login TEXT,
	uid INTEGER,
	CONSTRAINT pk_entries PRIMARY KEY (number),
	CONSTRAINT uq_entries_id UNIQUE (id)
);

CREATE TABLE facts (
	digest TEXT NOT NULL,
	schema INTEGER NOT NULL,
	class TEXT NOT NULL,
	tokenizer TEXT NOT NULL,
	vocabulary TEXT NOT NULL,
	vocabulary_size INTEGER NOT NULL,
	added_digest TEXT NOT NULL,
	added INTEGER NOT NULL,
	weights TEXT NOT NULL,
	rows INTEGER,
	width INTEGER,
	max_length INTEGER,
	architecture TEXT,
	adapter TEXT,
	rank INTEGER,
	CONSTRAINT pk_facts PRIMARY KEY (digest)
);

CREATE TABLE files (
	manifest TEXT NOT NULL,
	path TEXT NOT NULL,
	digest TEXT NOT NULL,
	size INTEGER NOT NULL,
	CONSTRAINT pk_files PRIMARY KEY (manifest, path),
	CONSTRAINT fk_files_manifest_manifests FOREIGN KEY(manifest) REFERENCES manifests (digest)
);

CREATE INDEX ix_aliases_name_number ON aliases (name, number);

CREATE INDEX ix_copies_repository ON copies (repository);

CREATE INDEX ix_edges_parent ON edges (parent);

CREATE INDEX ix_entries_clock ON entries (clock);

CREATE INDEX ix_entries_name_version ON entries (name, version);

CREATE INDEX ix_facts_added_digest ON facts (added_digest);

CREATE INDEX ix_facts_tokenizer ON facts (tokenizer);

CREATE INDEX ix_facts_vocabulary ON facts (vocabulary);

CREATE INDEX ix_facts_weights ON facts (weights);

CREATE INDEX ix_files_digest ON files (digest);

CREATE INDEX ix_metrics_key_real ON metrics ("key", real);

CREATE INDEX ix_parents_parent ON parents (parent);

CREATE INDEX ix_tensors_digest ON tensors (digest);

CREATE INDEX ix_tokens_content ON tokens (content);

CREATE INDEX ix_version_facts_facts ON version_facts (facts);

CREATE INDEX ix_versions_manifest ON versions (manifest);

CREATE TABLE manifests (
	digest TEXT NOT NULL,
	kind TEXT NOT NULL,
	class TEXT NOT NULL,
	size INTEGER NOT NULL,
	CONSTRAINT pk_manifests PRIMARY KEY (digest)
);

CREATE TABLE metrics (
	name TEXT NOT NULL,
	number INTEGER NOT NULL,
	"key" TEXT NOT NULL,
	value TEXT NOT NULL,
	real REAL,
	since INTEGER NOT NULL,
	until INTEGER,
	CONSTRAINT pk_metrics PRIMARY KEY (name, number, "key", since),
	CONSTRAINT ck_metrics_interval CHECK (until > since),
	CONSTRAINT fk_metrics_name_models FOREIGN KEY(name) REFERENCES models (name)
);

CREATE TABLE models (
	name TEXT NOT NULL,
	folded TEXT NOT NULL,
	since INTEGER NOT NULL,
	CONSTRAINT pk_models PRIMARY KEY (name),
	CONSTRAINT uq_models_folded UNIQUE (folded)
);

CREATE TABLE notes (
	name TEXT NOT NULL,
	number INTEGER NOT NULL,
	"key" TEXT NOT NULL,
	value TEXT NOT NULL,
	real REAL,
	since INTEGER NOT NULL,
	until INTEGER,
	CONSTRAINT pk_notes PRIMARY KEY (name, number, "key", since),
	CONSTRAINT ck_notes_interval CHECK (until > since),
	CONSTRAINT fk_notes_name_models FOREIGN KEY(name) REFERENCES models (name)
);

CREATE TABLE parents (
	manifest TEXT NOT NULL,
	role TEXT NOT NULL,
	parent TEXT NOT NULL,
	CONSTRAINT pk_parents PRIMARY KEY (manifest, role),
	CONSTRAINT fk_parents_manifest_manifests FOREIGN KEY(manifest) REFERENCES manifests (digest)
);

CREATE TABLE skipped (
	digest TEXT NOT NULL,
	what TEXT NOT NULL,
	reason TEXT NOT NULL,
	CONSTRAINT pk_skipped PRIMARY KEY (digest)
);

CREATE TABLE tensors (
	weights TEXT NOT NULL,
	name TEXT NOT NULL,
	dtype TEXT NOT NULL,
	shape JSON NOT NULL,
	digest TEXT NOT NULL,
	CONSTRAINT pk_tensors PRIMARY KEY (weights, name),
	CONSTRAINT fk_tensors_weights_weights FOREIGN KEY(weights) REFERENCES weights (digest)
);

CREATE TABLE tokens (
	added_digest TEXT NOT NULL,
	id INTEGER NOT NULL,
	content TEXT NOT NULL,
	special INTEGER NOT NULL,
	lstrip INTEGER NOT NULL,
	rstrip INTEGER NOT NULL,
	single_word INTEGER NOT NULL,
	normalized INTEGER NOT NULL,
	CONSTRAINT pk_tokens PRIMARY KEY (added_digest, id)
);

CREATE UNIQUE INDEX uq_aliases_open ON aliases (name, alias) WHERE until IS NULL;

CREATE UNIQUE INDEX uq_copies_open ON copies (name, number, repository) WHERE until IS NULL;

CREATE UNIQUE INDEX uq_metrics_open ON metrics (name, number, "key") WHERE until IS NULL;

CREATE UNIQUE INDEX uq_notes_open ON notes (name, number, "key") WHERE until IS NULL;

CREATE UNIQUE INDEX uq_version_facts_open ON version_facts (name, number) WHERE until IS NULL;

CREATE UNIQUE INDEX uq_version_probes_open ON version_probes (name, number) WHERE until IS NULL;

CREATE UNIQUE INDEX uq_versions_open ON versions (name, number) WHERE until IS NULL;

CREATE UNIQUE INDEX uq_yanks_open ON yanks (name, number) WHERE until IS NULL;

CREATE TABLE version_facts (
	name TEXT NOT NULL,
	number INTEGER NOT NULL,
	facts TEXT NOT NULL,
	since INTEGER NOT NULL,
	until INTEGER,
	CONSTRAINT pk_version_facts PRIMARY KEY (name, number, since),
	CONSTRAINT ck_version_facts_interval CHECK (until > since),
	CONSTRAINT fk_version_facts_name_models FOREIGN KEY(name) REFERENCES models (name)
);

CREATE TABLE version_probes (
	name TEXT NOT NULL,
	number INTEGER NOT NULL,
	probes TEXT NOT NULL,
	since INTEGER NOT NULL,
	until INTEGER,
	CONSTRAINT pk_version_probes PRIMARY KEY (name, number, since),
	CONSTRAINT ck_version_probes_interval CHECK (until > since),
	CONSTRAINT fk_version_probes_name_models FOREIGN KEY(name) REFERENCES models (name)
);

CREATE TABLE versions (
	name TEXT NOT NULL,
	number INTEGER NOT NULL,
	manifest TEXT NOT NULL,
	probes TEXT,
	message TEXT,
	source JSON NOT NULL,
	checkpoint INTEGER NOT NULL,
	forced JSON NOT NULL,
	since INTEGER NOT NULL,
	until INTEGER,
	CONSTRAINT pk_versions PRIMARY KEY (name, number, since),
	CONSTRAINT ck_versions_interval CHECK (until > since),
	CONSTRAINT fk_versions_name_models FOREIGN KEY(name) REFERENCES models (name)
);

CREATE TABLE weights (
	digest TEXT NOT NULL,
	dtype TEXT NOT NULL,
	parameters INTEGER NOT NULL,
	tensors INTEGER NOT NULL,
	CONSTRAINT pk_weights PRIMARY KEY (digest)
);

CREATE TABLE yanks (
	name TEXT NOT NULL,
	number INTEGER NOT NULL,
	reason TEXT,
	since INTEGER NOT NULL,
	until INTEGER,
	CONSTRAINT pk_yanks PRIMARY KEY (name, number, since),
	CONSTRAINT ck_yanks_interval CHECK (until > since),
	CONSTRAINT fk_yanks_name_models FOREIGN KEY(name) REFERENCES models (name)
);

