// Runs fauxqs on the loopback port that is its argument, until standard input ends.
import { buildApp } from "fauxqs";

// Whoever started this holds the other end of the pipe: its end means that they are gone, however they died.
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));

await buildApp({ logger: false }).listen({ host: "127.0.0.1", port: Number(process.argv[2]) });
