// postgres.js with a token as its password: over TCP, and over WebSocket on 443 as AWS's connector for it does.
import assert from "node:assert/strict";
import postgres from "postgres";
import WebSocket, { createWebSocketStream } from "ws";

const host = process.env.CLUSTER_ENDPOINT;
const common = { host, database: "postgres", username: "admin", password: process.env.PGPASSWORD, max: 2 };

// The byte stream of the protocol in binary frames; TLS is the WebSocket's own, so there is no SSLRequest.
function overWebSocket() {
  const socket = new WebSocket(`wss://${host}:443`);
  const stream = createWebSocketStream(socket);
  Object.defineProperty(stream, "readyState", { get: () => (socket.readyState === WebSocket.OPEN ? "open" : "closed") });
  return new Promise((resolve, reject) => {
    socket.on("open", () => resolve(stream));
    socket.on("error", reject);
  });
}

async function use(sql, name) {
  await sql.unsafe(`CREATE TABLE IF NOT EXISTS ${name} (id int PRIMARY KEY, body jsonb)`);
  await sql`INSERT INTO ${sql(name)} (id, body) VALUES (1, ${sql.json({ a: [1, 2] })})`;
  const [row] = await sql`SELECT body FROM ${sql(name)} WHERE id = ${1}`;
  assert.deepEqual(row.body, { a: [1, 2] });
  await sql.begin(async (inner) => {
    await inner`UPDATE ${inner(name)} SET body = NULL WHERE id = 1`;
  });
  const large = await sql`SELECT repeat('x', 300000) AS text FROM generate_series(1, 20)`;
  assert.equal(large.length, 20);
  await sql.unsafe(`DROP TABLE ${name}`);
  await sql.end({ timeout: 5 });
}

await use(postgres({ ...common, ssl: "require" }), "js_tcp");
await use(postgres({ ...common, ssl: false, socket: overWebSocket }), "js_websocket");
console.log("postgres.js over TCP and WebSocket: fine");
