// Sends events by @fluent-org/logger, as a program of Node would, and ends with 0 once all of them are acknowledged.
//
//     node send.js '{"tag": "plant.turbine", "count": 100, "options": {"eventMode": "Forward", "socket": {"port": 24224}}}'
//
// `options` are the logger's; a certificate authority is named as the file options.socket.tls.ca. Each event has its
// number, from 0, and a text. They are handed over a hundred at a time, so that chunks hold several of them.

"use strict";

const fs = require("fs");
const { EventTime, FluentClient } = require("@fluent-org/logger");

const TOGETHER = 100;
const FIRST = 1700000000; // seconds since the epoch; each event is a second and a nanosecond later than the one before
const PATIENCE = { ack: { ackTimeout: 60000 }, socket: { timeout: 60000 } }; // milliseconds: the machine may be busy

async function send({ tag, count, options }) {
  const tls = options.socket.tls;
  if (tls) {
    tls.ca = fs.readFileSync(tls.ca);
  }
  const client = new FluentClient(tag, {
    ack: PATIENCE.ack,
    ...options,
    socket: { ...PATIENCE.socket, ...options.socket },
    disableAutoconnect: true,
  });
  let failure = null; // the last one of the connection, of which the logger itself tries to mend most
  client.socketOn("error", (error) => (failure = error));
  process.on("exit", () => {
    if (failure && process.exitCode) {
      console.error(`${failure.name}: ${failure.message}`);
    }
  });
  await client.connect();
  try {
    for (let begin = 0; begin < count; begin += TOGETHER) {
      const emitted = [];
      for (let number = begin; number < Math.min(begin + TOGETHER, count); number++) {
        const event = { number, text: `Windgeschwindigkeit ${number % 30} m/s, Überdruck` };
        emitted.push(client.emit(event, new EventTime(FIRST + number, number)));
      }
      await Promise.all(emitted);
    }
  } finally {
    await client.shutdown();
  }
}

process.exitCode = 1; // also where a connection ends for good, and nothing is waited for any more
send(JSON.parse(process.argv[2])).then(
  () => (process.exitCode = 0),
  (error) => console.error(`${error.name}: ${error.message}`)
);
