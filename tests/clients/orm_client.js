// ORMs from npm: Sequelize and Drizzle, as applications use them.
const {Sequelize, DataTypes, Op} = require("sequelize");
const {drizzle} = require("drizzle-orm/node-postgres");
const {pgTable, serial, text, integer, jsonb, timestamp} = require("drizzle-orm/pg-core");
const {eq, and, gt, sql, desc} = require("drizzle-orm");
const {Pool} = require("pg");
const assert = require("assert").strict;

async function attempt(what, work) {
    try {
        await work();
        console.log(`ok ${what}`);
    } catch (error) {
        if (process.env.TRACE) console.log(error);
        console.log(`not ok ${what}: ${String(error.cause ? error.cause.message : error.message).replace(/\s+/g, " ")}`);
    }
}

async function sequelize() {
    const db = new Sequelize(process.env.PGDATABASE, process.env.PGUSER, "x", {host: process.env.PGHOST,
        port: process.env.PGPORT, dialect: "postgres", logging: process.env.TRACE ? console.log : false});
    const Author = db.define("author", {name: {type: DataTypes.STRING(40), allowNull: false, unique: true},
        born: DataTypes.DATEONLY, tags: DataTypes.ARRAY(DataTypes.TEXT), extra: DataTypes.JSONB});
    const Book = db.define("book", {title: DataTypes.TEXT, price: DataTypes.DECIMAL(10, 2),
        sold: {type: DataTypes.INTEGER, defaultValue: 0}}, {indexes: [{fields: ["title"]}]});
    Author.hasMany(Book, {onDelete: "CASCADE"});
    Book.belongsTo(Author);
    await attempt("sequelize sync makes tables, indexes and keys, twice", async () => {
        await db.authenticate();
        await db.sync();
        await db.sync();
    });
    await attempt("sequelize create, bulkCreate, find with include", async () => {
        const ann = await Author.create({name: "Ann", born: "1970-01-02", tags: ["a", "b"], extra: {x: 1}});
        await Book.bulkCreate([{title: "One", price: "9.50", authorId: ann.id},
            {title: "Two", price: "3.25", sold: 4, authorId: ann.id}]);
        const found = await Author.findOne({where: {name: "Ann"}, include: Book,
            order: [[Book, "title", "DESC"]]});
        assert.deepEqual(found.books.map(b => [b.title, b.price]), [["Two", "3.25"], ["One", "9.50"]]);
        assert.deepEqual([found.tags, found.extra, found.born], [["a", "b"], {x: 1}, "1970-01-02"]);
    });
    await attempt("sequelize operators, aggregates, JSON paths, upsert", async () => {
        assert.equal(await Book.count({where: {price: {[Op.between]: [3, 5]}, title: {[Op.iLike]: "t%"}}}), 1);
        assert.equal(await Book.sum("sold"), 4);
        assert.equal(await Author.count({where: {"extra.x": 1, tags: {[Op.contains]: ["a"]}}}), 1);
        await Author.upsert({id: 1, name: "Anna"});
        assert.equal((await Author.findByPk(1)).name, "Anna");
        const [rows] = await Book.update({sold: sequelizeLiteral(db, "sold + 1")}, {where: {title: "Two"}});
        assert.equal(rows, 1);
        const grouped = await Book.findAll({attributes: ["authorId", [db.fn("max", db.col("price")), "top"]],
            group: ["authorId"], raw: true});
        assert.equal(grouped[0].top, "9.50");
    });
    await attempt("sequelize transactions and unique errors", async () => {
        await assert.rejects(db.transaction(async t => {
            await Book.destroy({where: {}, transaction: t});
            throw new Error("back");
        }), {message: "back"});
        assert.equal(await Book.count(), 2);
        await assert.rejects(Author.create({name: "Anna"}), {name: "SequelizeUniqueConstraintError"});
        await assert.rejects(Book.create({authorId: 999}), {name: "SequelizeForeignKeyConstraintError"});
        await db.transaction({isolationLevel: "SERIALIZABLE"}, async t => Book.findAll({transaction: t,
            lock: t.LOCK.UPDATE}));
    });
    await attempt("sequelize describeTable, showIndex, keys, alter", async () => {
        const q = db.getQueryInterface();
        const table = await q.describeTable("books");
        assert.equal(table.price.type, "NUMERIC");
        assert.ok(table.id.primaryKey);
        const indexes = await q.showIndex("books");
        assert.ok(indexes.some(i => i.fields[0].attribute === "title"));
        assert.ok((await q.showAllTables()).some(t => (t.tableName || t) === "books"));
        const keys = await q.getForeignKeyReferencesForTable("books");
        assert.equal(keys[0].referencedTableName, "authors");
        await q.addColumn("books", "pages", {type: DataTypes.INTEGER});
        await q.renameColumn("books", "pages", "leaves");
        await q.removeColumn("books", "leaves");
        await db.sync({alter: true});
    });
    await attempt("sequelize enum", async () => {
        const Mood = db.define("mood", {m: DataTypes.ENUM("sad", "happy")});
        await Mood.sync();
        await Mood.create({m: "happy"});
        assert.equal((await Mood.findOne()).m, "happy");
        await assert.rejects(db.query("insert into moods (m, \"createdAt\", \"updatedAt\") values ('odd', now(), now())"));
    });
    await attempt("sequelize drop", async () => {
        await Book.drop();
        await Author.drop();
    });
    await db.close();
}

function sequelizeLiteral(db, text) {
    return db.literal(text);
}

async function drizzleOrm() {
    const pool = new Pool();
    const db = drizzle(pool);
    const users = pgTable("d_users", {id: serial("id").primaryKey(), name: text("name").notNull(),
        meta: jsonb("meta"), made: timestamp("made", {withTimezone: true}).defaultNow()});
    const posts = pgTable("d_posts", {id: serial("id").primaryKey(), userId: integer("user_id"), score: integer("score")});
    await attempt("drizzle insert returning, join, aggregate", async () => {
        await db.execute(sql`create table d_users (id serial primary key, name text not null unique, meta jsonb,
            made timestamptz default now())`);
        await db.execute(sql`create table d_posts (id serial primary key, user_id int references d_users(id), score int)`);
        const [ann] = await db.insert(users).values({name: "Ann", meta: {a: [1]}}).returning();
        assert.deepEqual(ann.meta, {a: [1]});
        assert.ok(ann.made instanceof Date);
        await db.insert(posts).values([{userId: ann.id, score: 1}, {userId: ann.id, score: 5}]);
        const rows = await db.select({name: users.name, top: sql`max(${posts.score})`.mapWith(Number)}).from(users)
            .leftJoin(posts, eq(posts.userId, users.id)).groupBy(users.id).orderBy(desc(users.id));
        assert.deepEqual(rows, [{name: "Ann", top: 5}]);
    });
    await attempt("drizzle on conflict, update, subquery, transaction", async () => {
        await db.insert(users).values({name: "Ann"}).onConflictDoUpdate({target: users.name, set: {name: "Anna"}});
        await db.update(posts).set({score: sql`${posts.score} + 10`}).where(and(gt(posts.score, 2), eq(posts.userId, 1)));
        const best = db.select({uid: posts.userId, s: sql`sum(${posts.score})`.as("s")}).from(posts).groupBy(posts.userId).as("best");
        const rows = await db.select({name: users.name, s: best.s}).from(users).innerJoin(best, eq(best.uid, users.id));
        assert.deepEqual(rows, [{name: "Anna", s: "16"}]);
        await assert.rejects(db.transaction(async tx => {
            await tx.delete(posts);
            await tx.transaction(async inner => { await inner.delete(users); });
            tx.rollback();
        }));
        assert.equal((await db.select().from(posts)).length, 2);
    });
    await attempt("drizzle prepared statements", async () => {
        const one = db.select().from(users).where(eq(users.id, sql.placeholder("id"))).prepare("one_user");
        for (let i = 0; i < 3; i++) {
            assert.equal((await one.execute({id: 1}))[0].name, "Anna");
        }
    });
    await pool.end();
}

sequelize().then(drizzleOrm).catch(error => { console.log(error); process.exit(1); });
