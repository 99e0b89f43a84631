// Preloaded by NODE_OPTIONS: each request takes half a second longer, whatever the service does.
"use strict";

const { Server } = require("http");
const { emit } = Server.prototype;
Server.prototype.emit = function (event, request) {
  if (event !== "request" || request.url === "/ready") {
    return emit.apply(this, arguments);
  }
  setTimeout(() => emit.apply(this, arguments), 500);
  return true;
};
