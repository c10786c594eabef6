// Neon's serverless driver over HTTP: queries, several in a transaction, an error.
import assert from "node:assert/strict";
import { neon, neonConfig } from "@neondatabase/serverless";

neonConfig.fetchEndpoint = `${process.env.TAUSQL_HTTP}/sql`;
const token = encodeURIComponent(process.env.PGPASSWORD);
const sql = neon(`postgresql://admin:${token}@${process.env.CLUSTER_ENDPOINT}/postgres`);

await sql`DROP TABLE IF EXISTS neon_notes`;
await sql`CREATE TABLE neon_notes (id int PRIMARY KEY, note text, at timestamptz, price numeric(10,2))`;
await sql`INSERT INTO neon_notes VALUES (${1}, ${"one"}, ${"2026-01-02T03:04:05Z"}, ${"1.50"})`;
const [row] = await sql`SELECT id, note, at, price FROM neon_notes WHERE id = ${1}`;
assert.deepEqual(row, { id: 1, note: "one", at: new Date("2026-01-02T03:04:05Z"), price: "1.50" });
const [inserted, counted] = await sql.transaction([
  sql`INSERT INTO neon_notes (id) VALUES (2) RETURNING id`,
  sql`SELECT count(*)::int AS n FROM neon_notes`,
]);
assert.deepEqual([inserted, counted], [[{ id: 2 }], [{ n: 2 }]]);
await assert.rejects(sql`SELECT nonsense`, (error) => error.code === "42703");
await sql`DROP TABLE neon_notes`;
console.log("neon: fine");
