// Runs fauxqs on the loopback port that is its argument, until standard input ends.
import { buildApp } from "fauxqs";

// The program that started this holds the other end of the pipe: when it closes, that program has ended, in any way.
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));

await buildApp({ logger: false }).listen({ host: "127.0.0.1", port: Number(process.argv[2]) });
