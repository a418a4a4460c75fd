// Prints what npm's bson and Mongoose make of values: on each line a name, how it was printed, and the text.
import { createRequire } from 'node:module';

const require = createRequire(`${process.argv[2]}/`);
const B = require('bson');
const mongoose = require('mongoose');
const id = '65a0c0ffee0123456789abcd';
const uuid = '00112233-4455-6677-8899-aabbccddeeff';
const values = {
  integer: 5,
  long: B.Long.fromString('9007199254740993'),
  double: new B.Double(1),
  decimal: B.Decimal128.fromString('1.50'),
  date: new Date(0),
  early: new Date(-1),
  late: new Date(253402300800000),
  objectId: new B.ObjectId(id),
  binary: new B.Binary(Buffer.from('hi')),
  uuid: new B.UUID(uuid),
  regex: new B.BSONRegExp('x', 'im'),
  timestamp: new B.Timestamp({ t: 1, i: 2 }),
  minKey: new B.MinKey(),
  code: new B.Code('f()', { a: 1 }),
  symbol: new B.BSONSymbol('s'),
  reference: new B.DBRef('c', new B.ObjectId(id), 'db'),
  notANumber: NaN,
  negativeZero: -0,
  buffer: Buffer.from('hi'),
  map: new Map([['k', 1]]),
};
for (const [name, value] of Object.entries(values)) {
  const print = (how, text) => console.log(JSON.stringify({ name, how, text }));
  print('EJSON', B.EJSON.stringify({ v: value }));
  print('EJSON canonical', B.EJSON.stringify({ v: value }, { relaxed: false }));
  print('JSON', JSON.stringify({ v: value }));
}

const schema = new mongoose.Schema({
  text: String, number: Number, date: Date, decimal: mongoose.Decimal128, buffer: Buffer, map: Map,
  other: mongoose.ObjectId, uuid: 'UUID', mixed: {},
});
const document = new (mongoose.model('Printed', schema))({
  _id: id, text: 'x', number: 1, date: new Date(0), decimal: '1.5', buffer: Buffer.from('hi'), map: { k: 1 }, other: id,
  uuid, mixed: { z: [1] },
});
console.log(JSON.stringify({ name: 'document', how: 'Mongoose', text: JSON.stringify(document) }));
console.log(JSON.stringify({ name: 'document', how: 'Mongoose EJSON', text: B.EJSON.stringify(document.toObject()) }));
