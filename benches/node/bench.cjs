// Compares the AWS SDK for JavaScript in this process with the same work through presignd and grpc-js. They are measured
// alternately, and each URL is read. Prints JSON. It is CommonJS, so that NODE_PATH sets the directory of the packages.
"use strict";

const { parseArgs } = require("node:util");
const grpc = require("@grpc/grpc-js");
const protoLoader = require("@grpc/proto-loader");
const { GetObjectCommand, S3Client } = require("@aws-sdk/client-s3");
const { getSignedUrl } = require("@aws-sdk/s3-request-presigner");

const EXPIRES_IN = 900;
const BATCH = 1000;
const SDK_URLS = 200;
const BATCHES = 10;

async function main() {
  const { values: options } = parseArgs({
    options: {
      socket: { type: "string" },
      proto: { type: "string" },
      rounds: { type: "string" },
      bucket: { type: "string" },
      outposts: { type: "string" },
    },
  });
  const stub = presignService(options.proto, options.socket);
  const client = new S3Client({ region: "us-east-1" });
  // The SDK cannot presign Outposts ARNs.
  const contenders = {
    sdk_bucket: inProcess(client, options.bucket),
    presignd_bucket: throughPresignd(stub, options.bucket),
    presignd_outposts: throughPresignd(stub, options.outposts),
  };
  const usPerUrl = await measureRounds(contenders, Number(options.rounds));
  stub.close();
  console.log(JSON.stringify({ versions: versions(), us_per_url: usPerUrl }));
}

function presignService(proto, socket) {
  const definition = protoLoader.loadSync("presign/v1/presign.proto", { includeDirs: [proto] });
  const { PresignService } = grpc.loadPackageDefinition(definition).presign.v1;
  return new PresignService(`unix://${socket}`, grpc.credentials.createInsecure());
}

function inProcess(client, bucket) {
  return async (first) => {
    const urls = [];
    const began = performance.now();
    for (let number = first; number < first + SDK_URLS; number += 1) {
      const command = new GetObjectCommand({ Bucket: bucket, Key: key(number) });
      urls.push(await getSignedUrl(client, command, { expiresIn: EXPIRES_IN }));
    }
    return perUrl(began, urls, SDK_URLS);
  };
}

function throughPresignd(stub, bucket) {
  const defaults = { bucket, expiresIn: { seconds: EXPIRES_IN }, getObject: {} };
  return async (first) => {
    const urls = [];
    const began = performance.now();
    for (let start = first; start < first + BATCHES * BATCH; start += BATCH) {
      const requests = Array.from({ length: BATCH }, (_, offset) => ({ key: key(start + offset) }));
      const answer = await batchPresign(stub, { requests, defaults });
      for (const result of answer.results) urls.push(result.presigned.url);
    }
    return perUrl(began, urls, BATCHES * BATCH);
  };
}

function batchPresign(stub, request) {
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + 30000;
    stub.batchPresign(request, { deadline }, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

// The microseconds per URL, after a check of all URLs.
function perUrl(began, urls, expected) {
  const took = performance.now() - began;
  const whole = urls.filter((url) => url.includes("X-Amz-Signature="));
  if (whole.length !== expected || new Set(urls).size !== expected) {
    throw new Error(`${whole.length} of ${expected} URLs are presigned`);
  }
  return (took / expected) * 1000;
}

// Measures every contender once per round; the order rotates from round to round. The first round is a warm-up and is not
// counted.
async function measureRounds(contenders, rounds) {
  const names = Object.keys(contenders);
  const results = Object.fromEntries(names.map((name) => [name, []]));
  for (let number = 0; number <= rounds; number += 1) {
    for (let offset = 0; offset < names.length; offset += 1) {
      const name = names[(number + offset) % names.length];
      const took = await contenders[name](number * BATCHES * BATCH);
      if (number > 0) results[name].push(took);
    }
  }
  return results;
}

function key(number) {
  return `photos/2026/11/26/IMG_${String(number).padStart(8, "0")}.jpg`;
}

function versions() {
  const { dependencies } = require("./package.json");
  return { node: process.version, ...dependencies };
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
