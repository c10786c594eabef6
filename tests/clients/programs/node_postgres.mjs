// AWS's connector for node-postgres: a client, a pool, a transaction, a refusal.
import assert from "node:assert/strict";
import { AuroraDSQLClient, AuroraDSQLPool } from "@aws/aurora-dsql-node-postgres-connector";

const host = process.env.CLUSTER_ENDPOINT;
const client = new AuroraDSQLClient({ host, user: "admin" });
await client.connect();
await client.query("CREATE TABLE IF NOT EXISTS node_notes (id uuid DEFAULT gen_random_uuid() PRIMARY KEY, note text)");
await client.query("BEGIN");
await client.query("INSERT INTO node_notes (note) VALUES ($1)", ["from node"]);
await client.query("COMMIT");
const found = await client.query("SELECT note FROM node_notes WHERE note = $1", ["from node"]);
assert.equal(found.rows[0].note, "from node");
await client.end();

const pool = new AuroraDSQLPool({ host, user: "admin", max: 4 });
const answers = await Promise.all([1, 2, 3, 4, 5, 6].map((number) => pool.query("SELECT $1::int AS n", [number])));
assert.deepEqual(answers.map((answer) => answer.rows[0].n), [1, 2, 3, 4, 5, 6]);
await pool.query("DROP TABLE node_notes");
await pool.end();

const stranger = new AuroraDSQLClient({ host, user: "nobody" });
await assert.rejects(stranger.connect(), /unable to accept connection, access denied/);
console.log("node-postgres connector: fine");
