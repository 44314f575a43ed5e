// Orders an echo, a query and its retrieve by message, follows both, and reads the result; needs amqplib.
//
// node client.mjs REMOTE STORE FIRST_DAY LAST_DAY

import { randomUUID } from "node:crypto";
import { connect } from "amqplib";

const URL = process.env.DOSEQR_AMQP_URL ?? "amqp://guest:guest@127.0.0.1:5672/%2f";
const PREFIX = process.env.DOSEQR_AMQP_PREFIX ?? "doseqr";
// Without any event for so long we give up: no worker listens, or the PACS is away.
const PATIENCE_MS = 120_000;
const ENDS = ["completed", "incomplete", "failed", "cancelled"];

// Publishes commands, and reads the events about them from a queue of its own.
class Client {
  #channel;
  #queue;
  #waiting = new Map();

  static async open(connection) {
    const client = new Client();
    client.#channel = await connection.createConfirmChannel();
    client.#channel.on("return", (message) => {
      console.error(`no queue takes ${message.fields.routingKey}: no service has ever run here`);
      process.exit(1);
    });
    client.#queue = (await client.#channel.assertQueue("", { exclusive: true })).queue;
    await client.#channel.consume(client.#queue, (message) => client.#take(message), { noAck: true });
    return client;
  }

  async publish(name, data) {
    const id = randomUUID().replaceAll("-", "");
    this.#waiting.set(id, { events: [], seen: new Set(), wake: () => {} });
    await this.#channel.bindQueue(this.#queue, `${PREFIX}.events`, `*.*.${id}`);
    const command = { specversion: "1.0", id, source: "/example", type: `doseqr.command.${name}.v1`, data };
    const options = { persistent: true, mandatory: true, messageId: id, replyTo: this.#queue };
    this.#channel.publish(`${PREFIX}.commands`, name, Buffer.from(JSON.stringify(command)), options);
    await this.#channel.waitForConfirms();
    return id;
  }

  #take(message) {
    const about = this.#waiting.get(message.properties.correlationId);
    const event = JSON.parse(message.content.toString());
    if (!about || about.seen.has(event.id)) return;
    about.seen.add(event.id);
    about.events.push(event);
    about.wake();
  }

  // Prints the events about a job or command up to one of these names, and returns that.
  async until(id, ...names) {
    const about = this.#waiting.get(id);
    for (;;) {
      const event = about.events.shift() ?? (await this.#next(id, about));
      const name = event.type.slice("doseqr.event.".length, -".v1".length);
      if (name === "rejected") throw new Error(`rejected: ${event.data.field}: ${event.data.problem}`);
      console.log(name, JSON.stringify(event.data.counts ?? {}));
      if (names.includes(name)) return [name, event.data];
    }
  }

  async #next(id, about) {
    let timer;
    await new Promise((resolve, reject) => {
      about.wake = resolve;
      timer = setTimeout(() => reject(new Error(`nothing came about ${id}`)), PATIENCE_MS);
    });
    clearTimeout(timer);
    return about.events.shift();
  }

  async result(jobId, kind) {
    let number = 0;
    let after = "";
    do {
      const [, page] = await this.until(await this.publish("result", { job_id: jobId, after }), "job.result");
      number += page[kind].length;
      after = page.next;
    } while (after);
    console.log("result", kind, number);
  }
}

async function main(remote, store, firstDay, lastDay) {
  const connection = await connect(URL);
  try {
    const client = await Client.open(connection);
    const [, echo] = await client.until(await client.publish("echo", { nodes: [remote, store] }), "echo.completed");
    for (const status of echo.results) console.log("node", status.node, status.outcome);
    const criteria = { types: ["CT", "DX", "MG"], date_from: firstDay, date_until: lastDay };
    const queryId = await client.publish("query", { remote, store, criteria });
    await client.until(queryId, ...ENDS);
    const retrieveId = await client.publish("retrieve", { query_id: queryId });
    const [end] = await client.until(retrieveId, ...ENDS);
    await client.result(queryId, "studies");
    await client.result(retrieveId, "objects");
    return end === "completed" ? 0 : 1;
  } finally {
    await connection.close();
  }
}

try {
  process.exitCode = await main(...process.argv.slice(2));
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
