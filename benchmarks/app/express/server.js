// The book's service in its own shape: Express, body-parser, and Sequelize's model with its default options.
"use strict";

const bodyParser = require("body-parser");
const express = require("express");
const { DataTypes, Sequelize } = require("sequelize");

const { DB_HOST, DB_PASSWORD, DB_PORT, DB_SCHEMA, DB_USER, PORT } = process.env;
const database = new Sequelize(DB_SCHEMA, DB_USER, DB_PASSWORD, {
  dialect: "postgres",
  host: DB_HOST,
  port: Number(DB_PORT),
  pool: { min: 0, max: Number(process.env.DB_POOL_SIZE), idle: 30000 },
});
const Person = database.define("Person", {
  firstName: { type: DataTypes.STRING, allowNull: false },
  lastName: { type: DataTypes.STRING, allowNull: true },
});

// Answer with what `work` returns as JSON, or with 500.
const answer = (work) => async (request, response) => {
  try {
    response.status(200).send(JSON.stringify(await work(request)));
  } catch (error) {
    response.status(500).send(JSON.stringify(error));
  }
};

const service = express();
service.use(bodyParser.urlencoded({ extended: true }));
service.get("/person/:id", answer(({ params }) => Person.findByPk(params.id)));
service.put("/person", answer(({ body: { id, firstName, lastName } }) => Person.create({ id, firstName, lastName })));
service.get("/all", answer(() => Person.findAll()));
service.get(
  "/ready",
  answer(async () => {
    await database.authenticate();
    return { ready: true };
  }),
);

database.sync().then(() => service.listen(Number(PORT), "127.0.0.1"));
