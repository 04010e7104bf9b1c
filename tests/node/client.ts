// A program against the client that openapi-typescript generates (keyturn.ts): it logs in, asks
// who it is, refreshes and logs out. What must not compile is said to be an error.
import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "./keyturn.js";

type Tokens = components["schemas"]["Tokens"];

const keyturn = createClient<paths>({ baseUrl: process.argv[2] });
const bearer = (tokens: Tokens) => ({ headers: { Authorization: `Bearer ${tokens.accessToken}` } });

async function logIn(email: string, password: string): Promise<Tokens> {
  const { data, error } = await keyturn.POST("/auth/login", { body: { email, password } });
  if (error) throw new Error(error.code);
  return data;
}

async function refresh(refreshToken: string): Promise<Tokens> {
  const { data, error } = await keyturn.POST("/auth/refresh", {
    params: { header: { "Idempotency-Key": crypto.randomUUID() } },
    body: { refreshToken },
  });
  if (error) throw new Error(error.code);
  return data;
}

await assert.rejects(logIn("bob@gmail.com", "wrong"), new Error("invalid_credentials"));
const first = await logIn("bob@gmail.com", "bobPass");
assert(first.refreshToken);
const second = await refresh(first.refreshToken);
assert(second.refreshToken && second.refreshToken !== first.refreshToken);
const kind: "Bearer" = second.tokenType;
assert.equal(kind, "Bearer");

const { data: me } = await keyturn.GET("/users/me", bearer(second));
assert.equal(me?.name, "Bob");

const { data: sessions } = await keyturn.GET("/auth/sessions", bearer(second));
assert.deepEqual(sessions?.map((session) => session.current), [true]);

const { response } = await keyturn.DELETE("/auth/logout", {
  body: { refreshToken: second.refreshToken },
});
assert.equal(response.status, 204);

const { error } = await keyturn.GET("/users/me", bearer(second));
assert(error?.status === 401);
assert.equal(error.code, "token_revoked");

// @ts-expect-error a login needs its password
void (() => keyturn.POST("/auth/login", { body: { email: "bob@gmail.com" } }));
// @ts-expect-error there is no such route
void (() => keyturn.GET("/users/you"));
// @ts-expect-error nor may this one answer with such a code
void (error.code === "refresh_reused");
// @ts-expect-error and no answer has a password
void me?.password;

console.log("done");
